"""What a principal may ask for at this moment."""

from starlette.requests import Request

from alphapulse.runtime.errors import NotPermitted
from alphapulse.runtime.resources import Resources
from alphapulse.tenancy.principal import Principal

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def admit(request: Request, resources: Resources, principal: Principal) -> Principal:  # noqa: ARG001 - resources: limits
    """Return the principal as it stands now, if its request is let through.

    Raises
    ------
    NotPermitted
        A viewer asks for a change.
    """
    if request.method not in SAFE_METHODS and not principal.may_change:
        raise NotPermitted(f"role {principal.role} may only read")
    return principal
