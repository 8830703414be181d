"""Routes of logging in, staying logged in and logging out; by tokens, or by cookies for browsers."""

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, Request, Response

from alphapulse.runtime.authentication import CSRF_HEADER, check_csrf
from alphapulse.runtime.envelope import trace_of
from alphapulse.runtime.errors import NotAuthenticated
from alphapulse.runtime.http import FunctionResources, public_router
from alphapulse.tenancy.principal import Principal
from alphapulse.tenancy.signing_keys import KeyRing
from functions.accounts import cookies, logins
from functions.accounts.callers import client_of
from functions.accounts.schemas import BrowserLogin, Credentials, LogOut, RefreshRequest, Tokens

public = public_router()
# Answers that hold tokens.
_NOT_KEPT: Final = {"Cache-Control": "no-store"}


async def _keys(request: Request) -> KeyRing:
    keys: KeyRing = request.app.state.keys
    return keys


Keys = Annotated[KeyRing, Depends(_keys)]


@public.post("/auth/login")
async def log_in(
    body: Credentials,
    request: Request,
    response: Response,
    resources: FunctionResources,
    keys: Keys,
    *,
    cookie: bool = False,
) -> Tokens | BrowserLogin:
    """Exchange e-mail and password for tokens; with `cookie`, put them into cookies."""
    client, trace = client_of(request, resources), trace_of(request.scope)
    response.headers.update(_NOT_KEPT)
    if not (cookie or body.cookie):
        return await logins.log_in(resources, keys, body, client=client, trace=trace)
    csrf_token = cookies.new_csrf_token()
    tokens = await logins.log_in(resources, keys, body, client=client, trace=trace, csrf_token=csrf_token)
    return cookies.set_cookies(response, request, tokens, csrf_token)


@public.post("/auth/refresh")
async def refresh(
    request: Request,
    response: Response,
    resources: FunctionResources,
    keys: Keys,
    body: RefreshRequest | None = None,
) -> Tokens | BrowserLogin:
    """Exchange a refresh token for new tokens; each works once. Without a body, the cookie's."""
    client = client_of(request, resources)
    response.headers.update(_NOT_KEPT)
    if body is not None:
        return await logins.refresh(resources, keys, body.refresh_token, client=client)
    token, check = _by_cookie(request)
    tokens = await logins.refresh(resources, keys, token, client=client, check=check)
    return cookies.set_cookies(response, request, tokens, request.headers[CSRF_HEADER])


@public.post("/auth/logout", status_code=204)
async def log_out(
    request: Request,
    response: Response,
    resources: FunctionResources,
    body: LogOut | None = None,
) -> None:
    """Revoke the login a refresh token belongs to, or all of its user with `everywhere`."""
    everywhere = body is not None and body.everywhere
    if body is not None and body.refresh_token is not None:
        await logins.log_out(resources, body.refresh_token, everywhere=everywhere)
        return
    token, check = _by_cookie(request)
    await logins.log_out(resources, token, everywhere=everywhere, check=check)
    cookies.clear_cookies(response, request)


@public.get("/.well-known/jwks.json")
async def jwks(keys: Keys) -> dict[str, object]:
    """Return the public keys that access tokens are verified with."""
    return await keys.jwks()


def _by_cookie(request: Request) -> tuple[str, Callable[[Principal], None]]:
    token = request.cookies.get(cookies.REFRESH_COOKIE)
    if not token:
        raise NotAuthenticated("a refresh token is required", code="invalid_refresh_token")
    return token, lambda principal: check_csrf(request, principal.csrf_hash)
