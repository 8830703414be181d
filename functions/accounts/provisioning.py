"""Sign-up, how far provisioning has got, and another try when it failed."""

import datetime as dt
import uuid
from functools import partial
from typing import Any

from uuid_utils.compat import uuid7

from alphapulse.data import idempotency, queries
from alphapulse.data.errors import UniqueViolated
from alphapulse.provisioning import runs, steps
from alphapulse.runtime.errors import Conflict, Invalid, NotFound, NotPermitted
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.principal import Role, Tier
from alphapulse.tenancy.states import TenantStatus, change_status
from alphapulse.tenancy.tenant import TenantId
from functions.accounts.one_time_tokens import Purpose
from functions.accounts.password_changes import send_token
from functions.accounts.passwords import hash_password, verify_password
from functions.accounts.schemas import (
    FailedAttempt,
    Provisioning,
    ProvisioningRun,
    SignUp,
    SignUpAccepted,
    Step,
)

TRIAL = dt.timedelta(days=14)
_ACCEPTED = 202
_OPERATION = "POST /auth/signup"

sql = queries.load(__file__, "provisioning.sql")


class EmailTaken(Conflict):
    """The address has an account."""

    code = "email_taken"
    title = "E-mail address taken"


class NotFailed(Conflict):
    """There is nothing to try again."""

    code = "provisioning_not_failed"
    title = "Provisioning has not failed"


async def sign_up(
    resources: Resources, request: SignUp, *, trace: Trace, key: str | None, fingerprint: bytes
) -> SignUpAccepted:
    """Register the tenant and its owner, and ask for the tenant to be provisioned.

    Raises
    ------
    EmailTaken
        The address has an account, and this is no replay of the request that made it.
    """
    password_hash = await hash_password(request.password.get_secret_value())
    scope = Scope(resources=resources, tenant_id=TenantId.new(), trace=trace)
    try:
        async with scope.platform_transaction() as work:
            return await _register(work, request, password_hash, key=key, fingerprint=fingerprint)
    except EmailTaken:
        if key is None:
            raise
        return await _first_answer(resources, request, key=key, fingerprint=fingerprint)


async def provisioning(work: TenantWork, tenant_id: str) -> Provisioning:
    """Return how far the latest run of the caller's own tenant has got.

    Raises
    ------
    NotFound
        The id is another tenant's, or none.
    """
    _own(tenant_id, work.tenant_id)
    tenant = await sql.tenant_status(work.session, tenant_id=work.tenant_id.value)
    if tenant is None:
        raise NotFound("there is no such tenant")
    run = await sql.latest_run(work.session, tenant_id=work.tenant_id.value)
    found = []
    if run is not None:
        rows = sql.steps_of_run(work.session, tenant_id=work.tenant_id.value, run_id=run["id"])
        found = [_step(row) async for row in rows]
    return Provisioning(
        tenant_id=work.tenant_id.value,
        status=tenant["status"],
        reason=tenant["status_reason"],
        run=None if run is None else ProvisioningRun.model_validate(dict(run)),
        steps=found,
    )


async def retry(scope: Scope, tenant_id: str) -> SignUpAccepted:
    """Ask for another run after one that failed and was undone.

    Raises
    ------
    NotFound
        The id is another tenant's, or none.
    NotPermitted
        The caller is not the owner.
    NotFailed
        The tenant is in another state than `failed`.
    Transient
        What the failed run left is being looked for at this moment.
    """
    _own(tenant_id, scope.tenant_id)
    if scope.principal is None or scope.principal.role is not Role.OWNER:
        raise NotPermitted("only the owner may have the tenant provisioned again")
    async with scope.platform_transaction() as work:
        tenant = await sql.tenant_status(work.session, tenant_id=work.tenant_id.value)
        if tenant is None or tenant["status"] != TenantStatus.FAILED:
            status = "unknown" if tenant is None else tenant["status"]
            raise NotFailed(f"only a failed provisioning can be tried again; the tenant is {status}")
        await runs.hold_rechecks(work)
        await change_status(work.session, work.tenant_id, TenantStatus.PENDING, now=work.now)
        try:
            await _request(work, Tier(tenant["tier"]))
        except UniqueViolated as error:
            raise NotFailed("another run has begun") from error
        await work.audit("tenant.provisioning_retried", resource_type="tenant", resource_id=tenant_id)
    return _accepted(scope.tenant_id)


async def _register(
    work: TenantWork, request: SignUp, password_hash: str, *, key: str | None, fingerprint: bytes
) -> SignUpAccepted:
    tenant_id, now, session = work.tenant_id.value, work.now, work.session
    await sql.insert_tenant(
        session,
        tenant_id=tenant_id,
        company=request.company,
        tier=request.tier.value,
        trial_ends_at=now + TRIAL,
        now=now,
    )
    owner = await sql.insert_owner(
        session,
        tenant_id=tenant_id,
        user_id=uuid7(),
        email=request.email,
        password_hash=password_hash,
        now=now,
    )
    if owner is None:
        raise EmailTaken("this e-mail address has an account; log in instead")
    owner_id: uuid.UUID = owner["id"]
    await work.audit("tenant.signed_up", resource_type="user", resource_id=str(owner_id))
    work.after_commit(partial(_send_verification, work.scope, owner_id, request.email))
    await _request(work, request.tier)
    accepted = _accepted(work.tenant_id)
    if key is not None:
        await idempotency.claim(session, key, operation=_OPERATION, fingerprint=fingerprint)
        await idempotency.store(
            session, key, status=_ACCEPTED, body=accepted.model_dump_json().encode(), headers={}
        )
    return accepted


async def _request(work: TenantWork, tier: Tier) -> None:
    run_id = await runs.create(work, kind="provision", deadline=steps.DEADLINES[tier])
    await work.emit(
        steps.REQUESTED,
        {
            "tenant_id": str(work.tenant_id),
            "run_id": str(run_id),
            "tier": tier.value,
            "requested_at": work.now.isoformat(),
        },
        correlation_id=str(run_id),
    )


async def _send_verification(scope: Scope, owner_id: uuid.UUID, email: str) -> None:
    await send_token(scope.resources, scope.tenant_id, owner_id, email, Purpose.VERIFY_EMAIL)


async def _first_answer(
    resources: Resources, request: SignUp, *, key: str, fingerprint: bytes
) -> SignUpAccepted:
    """Return what the first sign-up with this key and address was answered."""
    taken = EmailTaken("this e-mail address has an account; log in instead")
    async with resources.platform.session() as session:
        owner = await sql.owner_of_email(session, email=request.email)
    if owner is None:
        raise taken
    # The fingerprint leaves the password out, so that no fast hash of it is stored.
    same_password = await verify_password(owner["password_hash"], request.password.get_secret_value())
    async with resources.platform.session(TenantId(owner["tenant_id"])) as session:
        match await idempotency.claim(session, key, operation=_OPERATION, fingerprint=fingerprint):
            case idempotency.Replay(body=body) if same_password:
                return SignUpAccepted.model_validate_json(body)
            case idempotency.Reused() | idempotency.Replay():
                raise Invalid(
                    "this Idempotency-Key was used with another request", code="idempotency_key_reused"
                )
            case _:
                raise taken  # and the claim is rolled back


def _accepted(tenant_id: TenantId) -> SignUpAccepted:
    return SignUpAccepted(
        tenant_id=tenant_id.value,
        status=TenantStatus.PENDING.value,
        status_url=f"/tenants/{tenant_id}/provisioning",
    )


def _own(asked: str, tenant_id: TenantId) -> None:
    if asked != str(tenant_id):
        raise NotFound("there is no such tenant")


def _step(row: Any) -> Step:
    took = None
    if row["started_at"] is not None and row["finished_at"] is not None:
        took = round((row["finished_at"] - row["started_at"]).total_seconds() * 1000)
    return Step(
        step=row["step"],
        status=row["status"],
        attempts=row["attempts"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        milliseconds=took,
        error=row["error"],
        failures=[FailedAttempt.model_validate(failure) for failure in row["detail"].get("failures", [])],
    )
