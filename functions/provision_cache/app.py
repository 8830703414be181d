"""The event of `provision_cache` and its wiring."""

from starlette.types import ASGIApp

from alphapulse.provisioning.saga import step_app
from alphapulse.provisioning.steps import Step
from alphapulse.runtime.resources import Resources
from functions.provision_cache import service


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    return step_app(resources, Step.CACHE, service.open_namespace)
