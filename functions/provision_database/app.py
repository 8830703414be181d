"""The event of `provision_database` and its wiring."""

from starlette.types import ASGIApp

from alphapulse.provisioning.saga import step_app
from alphapulse.provisioning.steps import Step
from alphapulse.runtime.resources import Resources
from functions.provision_database import service


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    return step_app(resources, Step.DATABASE, service.open_books)
