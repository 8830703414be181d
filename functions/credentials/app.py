"""Routes of `credentials` and their wiring."""

from typing import Annotated

from fastapi import Query, Request, Response
from starlette.types import ASGIApp

from alphapulse.runtime.admission import open_when
from alphapulse.runtime.http import TenantScope, Work, http_app, tenant_router
from alphapulse.runtime.resources import Resources
from alphapulse.tenancy.states import TenantStatus
from functions.credentials import keeping, storing
from functions.credentials.replays import key_of
from functions.credentials.schemas import CredentialList, CredentialView, NewCredential, NewKeys

# Exchange and Vault are called between transactions, so these handlers open their own.
steps = tenant_router(stepped=True)
reads = tenant_router()


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    return http_app(resources, title="credentials", routers=[steps, reads])


@reads.get("/credentials")
async def credentials(work: Work) -> CredentialList:
    """Return what is known of the tenant's exchange keys; never the keys."""
    return await keeping.listing(work)


@steps.post("/credentials", status_code=201, response_model=CredentialView)
async def store(body: NewCredential, request: Request, scope: TenantScope) -> Response:
    """Store a key to an exchange, once the exchange has confirmed that it may trade and not withdraw."""
    return await storing.store(scope, body, key=key_of(request, body))


@steps.put("/credentials/{credential_id}", response_model=CredentialView)
async def rotate(credential_id: str, body: NewKeys, request: Request, scope: TenantScope) -> Response:
    """Replace a key; the old one is kept for 24 hours."""
    return await storing.rotate(scope, keeping.parse_id(credential_id), body, key=key_of(request, body))


@steps.delete("/credentials/{credential_id}", status_code=204)
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def remove(
    credential_id: str,
    request: Request,
    scope: TenantScope,
    force: Annotated[bool, Query(description="Also while orders of the exchange are open")] = False,  # noqa: FBT002 - a query parameter, always named
) -> Response:
    """Remove a key and all its versions."""
    return await keeping.remove(scope, keeping.parse_id(credential_id), force=force, key=key_of(request))


@steps.post("/credentials/{credential_id}/check", response_model=CredentialView)
async def check(credential_id: str, request: Request, scope: TenantScope) -> Response:
    """Ask the exchange about a key now."""
    return await keeping.check(scope, keeping.parse_id(credential_id), key=key_of(request))
