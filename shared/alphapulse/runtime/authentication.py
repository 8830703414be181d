"""Who makes a request: from its credentials to a principal.

A bearer token or an API key in a header, or the cookie of a browser's login. A browser sends its
cookies with requests that other sites make it send too, so a change that is authenticated by a
cookie must also show the login's CSRF token, which other sites cannot read.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Final

from starlette.requests import HTTPConnection

from alphapulse.runtime.errors import NotAuthenticated, NotPermitted
from alphapulse.runtime.resources import Resources
from alphapulse.tenancy.api_keys import InvalidApiKey
from alphapulse.tenancy.principal import Principal
from alphapulse.tenancy.scopes import permits
from alphapulse.tenancy.tokens import InvalidToken

ACCESS_COOKIE: Final = "alphapulse_access"
CSRF_HEADER: Final = "x-csrf-token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def authenticate(request: HTTPConnection, resources: Resources) -> Principal:
    """Return the principal of a request.

    Raises
    ------
    NotAuthenticated
        No credentials, two kinds of them, or such that do not hold.
    NotPermitted
        An API key without the scope, or a cookie without the CSRF token.
    """
    authorization = request.headers.get("authorization")
    api_key = request.headers.get("x-api-key")
    if authorization is not None and api_key is not None:
        raise NotAuthenticated("send a bearer token or an API key, not both", code="ambiguous_credentials")
    if api_key is not None:
        principal = await _by_api_key(api_key, resources)
    elif authorization is not None:
        principal = await _by_bearer(authorization, resources)
    else:
        principal = await _by_cookie(request, resources)
    method = request.scope.get("method", "GET")
    if not permits(principal.scopes, method=method, path=request.url.path):
        raise NotPermitted("the API key's scopes do not include this", code="scope_missing")
    return principal


def csrf_hash(token: str) -> str:
    """Return what an access token says of its login's CSRF token."""
    return urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


def check_csrf(request: HTTPConnection, expected: str | None) -> None:
    """Refuse a request that does not show the CSRF token of its login.

    Raises
    ------
    NotPermitted
        `csrf_token_missing` or `csrf_token_wrong`.
    """
    token = request.headers.get(CSRF_HEADER)
    if not token:
        raise NotPermitted("a change by cookie needs the header X-CSRF-Token", code="csrf_token_missing")
    if expected is None or not hmac.compare_digest(csrf_hash(token), expected):
        raise NotPermitted("X-CSRF-Token is not the token of this login", code="csrf_token_wrong")


async def _by_bearer(authorization: str, resources: Resources) -> Principal:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated("a bearer token is required")
    return await _by_token(token.strip(), resources)


async def _by_api_key(text: str, resources: Resources) -> Principal:
    try:
        return await resources.api_keys.principal(text.strip())
    except InvalidApiKey as error:
        raise NotAuthenticated(str(error), code="invalid_api_key") from error


async def _by_cookie(request: HTTPConnection, resources: Resources) -> Principal:
    token = request.cookies.get(ACCESS_COOKIE)
    if not token:
        raise NotAuthenticated("a bearer token or an API key is required")
    principal = await _by_token(token, resources)
    if request.scope.get("method", "GET") not in _SAFE_METHODS:
        check_csrf(request, principal.csrf_hash)
    return principal


async def _by_token(token: str, resources: Resources) -> Principal:
    try:
        return await resources.verifier.verify(token)
    except InvalidToken as error:
        raise NotAuthenticated(str(error), code="invalid_token") from error
