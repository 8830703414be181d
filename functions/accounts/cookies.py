"""Cookies of a browser's login: out of reach of scripts, and of other sites.

| cookie | path | scripts | holds |
|---|---|---|---|
| alphapulse_access | / | no | the access token |
| alphapulse_refresh | /auth | no | the refresh token |
| alphapulse_csrf | / | yes | what changes must repeat in `X-CSRF-Token` |
"""

import secrets
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import Request, Response

from alphapulse.runtime.authentication import ACCESS_COOKIE
from alphapulse.tenancy.signing_keys import ACCESS_TOKEN_LIFETIME
from functions.accounts.schemas import BrowserLogin, Tokens
from functions.accounts.sessions import REFRESH_TOKEN_LIFETIME

REFRESH_COOKIE: Final = "alphapulse_refresh"
CSRF_COOKIE: Final = "alphapulse_csrf"
_PATHS: Final = {ACCESS_COOKIE: "/", REFRESH_COOKIE: "/auth", CSRF_COOKIE: "/"}
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def new_csrf_token() -> str:
    """Return the CSRF token of a new login."""
    return secrets.token_urlsafe(32)


def set_cookies(response: Response, request: Request, tokens: Tokens, csrf_token: str) -> BrowserLogin:
    """Put a login into cookies; return what is left to tell."""
    values = {
        ACCESS_COOKIE: (tokens.access_token, ACCESS_TOKEN_LIFETIME),
        REFRESH_COOKIE: (tokens.refresh_token, REFRESH_TOKEN_LIFETIME),
        CSRF_COOKIE: (csrf_token, REFRESH_TOKEN_LIFETIME),
    }
    for name, (value, lifetime) in values.items():
        seconds = int(lifetime.total_seconds())
        response.set_cookie(name, value, max_age=seconds, **_attributes(name, request))
    return BrowserLogin(expires_in=tokens.expires_in, csrf_token=csrf_token)


def clear_cookies(response: Response, request: Request) -> None:
    """Take a login out of the browser."""
    for name in _PATHS:
        response.delete_cookie(name, **_attributes(name, request))


def _attributes(name: str, request: Request) -> dict[str, Any]:
    return {
        "path": _PATHS[name],
        "secure": not _is_plain_localhost(request),
        "httponly": name != CSRF_COOKIE,
        "samesite": "strict",
    }


def _is_plain_localhost(request: Request) -> bool:
    # The headers come from the gateway; whoever forges them only weakens a cookie of their own.
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    host = request.headers.get("x-forwarded-host", request.headers.get("host", ""))
    try:
        return scheme == "http" and urlsplit(f"//{host}").hostname in _THIS_MACHINE
    except ValueError:
        return False  # no address at all
