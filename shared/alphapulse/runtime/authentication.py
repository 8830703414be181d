"""Who makes a request: from its credentials to a principal."""

from starlette.requests import Request

from alphapulse.runtime.errors import NotAuthenticated
from alphapulse.runtime.resources import Resources
from alphapulse.tenancy.principal import Principal
from alphapulse.tenancy.tokens import InvalidToken


async def authenticate(request: Request, resources: Resources) -> Principal:
    """Return the principal of a request.

    Raises
    ------
    NotAuthenticated
        No credentials, or such that do not hold.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated("a bearer token is required")
    try:
        return await resources.verifier.verify(token.strip())
    except InvalidToken as error:
        raise NotAuthenticated(str(error), code="invalid_token") from error
