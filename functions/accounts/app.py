"""Routes of `accounts` and their wiring."""

from typing import Annotated

from fastapi import Depends, Request, Response
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
from alphapulse.runtime.resources import NotConfigured, Resources
from alphapulse.tenancy.states import TenantStatus
from alphapulse.tenancy.tokens import TokenSigner
from functions.accounts import export, provisioning, removal, service
from functions.accounts.schemas import (
    Credentials,
    DeleteTenant,
    DeletionAccepted,
    Provisioning,
    RefreshRequest,
    SignUp,
    SignUpAccepted,
    TenantView,
    Tokens,
)

public = public_router()
tenant = tenant_router()


async def _signer(request: Request) -> TokenSigner:
    signer: TokenSigner = request.app.state.signer
    return signer


Signer = Annotated[TokenSigner, Depends(_signer)]


def build(resources: Resources) -> ASGIApp:
    """Build the function's app; the public keys come from its own signing key."""
    key_file = resources.settings.token_signing_key_file
    if key_file is None:
        raise NotConfigured("TOKEN_SIGNING_KEY_FILE is not set")
    signer = TokenSigner(key_file.read_bytes())
    resources.use_keys(signer.jwks)
    return http_app(resources, title="accounts", routers=[public, tenant], state={"signer": signer})


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


@public.post("/auth/login")
async def log_in(body: Credentials, resources: FunctionResources, signer: Signer) -> Tokens:
    """Exchange e-mail and password for tokens."""
    return await service.log_in(resources, signer, body)


@public.post("/auth/refresh")
async def refresh(body: RefreshRequest, resources: FunctionResources, signer: Signer) -> Tokens:
    """Exchange a refresh token for new tokens; each refresh token works once."""
    return await service.refresh(resources, signer, body.refresh_token)


@public.post("/auth/logout", status_code=204)
async def log_out(body: RefreshRequest, resources: FunctionResources) -> Response:
    """Revoke the login a refresh token belongs to."""
    await service.log_out(resources, body.refresh_token)
    return Response(status_code=204)


@public.get("/.well-known/jwks.json")
async def jwks(signer: Signer) -> dict[str, object]:
    """Return the public keys that access tokens are verified with."""
    return signer.jwks


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
async def export_everything(scope: TenantScope) -> StreamingResponse:
    """Return all rows of the tenant as a zip file of JSON lines, one file per table."""
    headers = {"Content-Disposition": f'attachment; filename="alphapulse-{scope.tenant_id}.zip"'}
    return StreamingResponse(export.archive(scope), media_type="application/zip", headers=headers)


@tenant.post("/tenants/me/delete", status_code=202)
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def delete_tenant(body: DeleteTenant, scope: TenantScope) -> DeletionAccepted:
    """Delete the tenant for good: at once read-only, then removed from all stores."""
    return await removal.delete(scope, body)
