"""Routes of `accounts` and their wiring."""

from fastapi import Request, Response
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp

from alphapulse.runtime.admission import open_when
from alphapulse.runtime.envelope import trace_of
from alphapulse.runtime.http import (
    FunctionResources,
    TenantScope,
    Work,
    fingerprint,
    http_app,
    idempotency_key,
    public_router,
    tenant_router,
)
from alphapulse.runtime.resources import Resources
from alphapulse.tenancy.signing_key_sources import FileKeys
from alphapulse.tenancy.signing_keys import KeyRing
from alphapulse.tenancy.states import TenantStatus
from functions.accounts import (
    api_keys,
    audit_trail,
    export,
    login_routes,
    password_changes,
    provisioning,
    removal,
    service,
    sessions,
    totp,
    users,
)
from functions.accounts.callers import OwnerScope
from functions.accounts.schemas import (
    DeleteTenant,
    DeletionAccepted,
    Provisioning,
    SignUp,
    SignUpAccepted,
    TenantView,
)
from functions.accounts.signing import signing_key_source

public = public_router()
tenant = tenant_router()
# Nothing is stored of a request that shows a password, so an Idempotency-Key does nothing there.
stepped = tenant_router(stepped=True)


def build(resources: Resources) -> ASGIApp:
    """Build the function's app; the public keys come from its own signing keys."""
    keys = _signing_keys(resources)
    resources.use_keys(keys.jwks)
    routers = [
        public,
        login_routes.public,
        password_changes.public,
        # Before the routes of one tenant by its id, which `me` would be taken for.
        users.router,
        audit_trail.router,
        tenant,
        stepped,
        sessions.router,
        password_changes.router,
        api_keys.router,
        totp.router,
    ]
    return http_app(resources, title="accounts", routers=routers, state={"keys": keys})


@public.post("/auth/signup", status_code=202)
async def sign_up(body: SignUp, request: Request, resources: FunctionResources) -> SignUpAccepted:
    """Create a tenant and its owner; a retry with the same Idempotency-Key gets the same answer."""
    return await provisioning.sign_up(
        resources,
        body,
        trace=trace_of(request.scope),
        key=idempotency_key(request),
        fingerprint=fingerprint(request, body.model_dump_json(exclude={"password"}).encode()),
    )


@tenant.get("/tenants/me")
async def me(work: Work) -> TenantView:
    """Return the caller's tenant."""
    return await service.tenant_view(work)


@tenant.get("/tenants/{tenant_id}/provisioning")
async def provisioning_status(tenant_id: str, work: Work) -> Provisioning:
    """Return the steps and state of the tenant's provisioning."""
    return await provisioning.provisioning(work, tenant_id)


@tenant.post("/tenants/{tenant_id}/provisioning/retry", status_code=202)
async def retry_provisioning(tenant_id: str, scope: TenantScope) -> SignUpAccepted:
    """Try once more after a provisioning that failed and was undone."""
    return await provisioning.retry(scope, tenant_id)


@tenant.get("/tenants/me/export", response_class=Response)
async def export_everything(scope: OwnerScope) -> StreamingResponse:
    """Return all rows of the tenant as a zip file of JSON lines, one file per table."""
    headers = {"Content-Disposition": f'attachment; filename="alphapulse-{scope.tenant_id}.zip"'}
    return StreamingResponse(export.archive(scope), media_type="application/zip", headers=headers)


@stepped.post("/tenants/me/delete", status_code=202)
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def delete_tenant(body: DeleteTenant, scope: TenantScope) -> DeletionAccepted:
    """Delete the tenant for good: at once read-only, then removed from all stores."""
    return await removal.delete(scope, body)


def _signing_keys(resources: Resources) -> KeyRing:
    source = signing_key_source(resources)
    keys = KeyRing(source, clock=resources.clock)
    if isinstance(source, FileKeys):
        keys.use(source.load())  # a bad key is seen at once
    return keys
