"""Routes of the second factor: enrol, confirm, renew the recovery codes, disable."""

from typing import Any

from pydantic import BaseModel

from alphapulse.runtime.admission import any_role, open_when
from alphapulse.runtime.errors import Conflict
from alphapulse.runtime.http import tenant_router
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.states import TenantStatus
from functions.accounts import reauthentication, second_factor
from functions.accounts.callers import PersonScope, principal_of
from functions.accounts.logins import InvalidTotp
from functions.accounts.schemas import Request, SentCode, SentPassword

router = tenant_router(stepped=True)


class TotpEnabled(Conflict):
    """There is a second factor already."""

    code = "totp_enabled"


class TotpNotEnabled(Conflict):
    """There is no second factor, or none that waits for its confirmation."""

    code = "totp_not_enabled"


class Enrolment(Request):
    """The password, once more."""

    password: SentPassword


class Confirmation(Request):
    """The authenticator's first code."""

    code: SentCode


class Proof(Request):
    """The password and a code or recovery code."""

    password: SentPassword
    code: SentCode


class TotpState(BaseModel):
    """Whether a login needs a code."""

    enabled: bool
    recovery_codes_left: int


class TotpSecret(BaseModel):
    """What an authenticator needs; shown once."""

    secret: str
    otpauth_uri: str


class RecoveryCodes(BaseModel):
    """Codes that each replace one of the authenticator's, once; shown once."""

    recovery_codes: list[str]


@router.get("/auth/totp")
async def state(scope: PersonScope) -> TotpState:
    """Return whether the caller's logins need a code."""
    user = await _user(scope)
    return TotpState(enabled=user["totp_enabled_at"] is not None, recovery_codes_left=user["recovery_codes"])


@router.post("/auth/totp", status_code=201)
@any_role
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def enrol(body: Enrolment, scope: PersonScope) -> TotpSecret:
    """Make a secret; it counts once a code of it has been confirmed."""
    user = await reauthentication.check_password(scope, body.password)
    if user["totp_enabled_at"] is not None:
        raise TotpEnabled("the second factor is on; disable it first")
    secret = await second_factor.new_secret(scope.resources, scope.tenant_id, principal_of(scope).user_id)
    return TotpSecret(secret=secret, otpauth_uri=second_factor.provisioning_uri(secret, user["email"]))


@router.post("/auth/totp/confirm")
@any_role
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def confirm(body: Confirmation, scope: PersonScope) -> RecoveryCodes:
    """Turn the second factor on and return recovery codes."""
    user, user_id = await _user(scope), principal_of(scope).user_id
    if user["totp_enabled_at"] is not None:
        raise TotpEnabled("the second factor is on already")
    await reauthentication.count_code(scope, user["email"])
    code = body.code.get_secret_value()
    step = await second_factor.matching_step(scope.resources, scope.tenant_id, user_id, code)
    if step is None:
        raise InvalidTotp("the code is wrong, or there is no enrolment to confirm")
    of_user = {"tenant_id": scope.tenant_id.value, "user_id": user_id}
    async with scope.platform_transaction() as work:
        if await second_factor.sql.enable(work.session, **of_user, step=step, now=work.now) is None:
            raise TotpEnabled("the second factor is on already")
        await reauthentication.forget_codes(work.session, user["email"])
        codes = await second_factor.new_recovery_codes(work.session, user_id, now=work.now)
        await work.audit("totp.enabled", resource_type="user", resource_id=str(user_id))
    return RecoveryCodes(recovery_codes=codes)


@router.post("/auth/totp/recovery-codes")
@any_role
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def renew_recovery_codes(body: Proof, scope: PersonScope) -> RecoveryCodes:
    """Replace the recovery codes."""
    await _prove(scope, body)
    user_id = principal_of(scope).user_id
    async with scope.platform_transaction() as work:
        codes = await second_factor.new_recovery_codes(work.session, user_id, now=work.now)
        await work.audit("totp.recovery_codes_renewed", resource_type="user", resource_id=str(user_id))
    return RecoveryCodes(recovery_codes=codes)


@router.post("/auth/totp/disable", status_code=204)
@any_role
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def disable(body: Proof, scope: PersonScope) -> None:
    """Turn the second factor off."""
    await _prove(scope, body)
    user_id = principal_of(scope).user_id
    of_user = {"tenant_id": scope.tenant_id.value, "user_id": user_id}
    async with scope.platform_transaction() as work:
        if await second_factor.sql.disable(work.session, **of_user, now=work.now) is None:
            raise TotpNotEnabled("the second factor is not on")
        await second_factor.sql.forget_recovery_codes(work.session, **of_user)
        await work.audit("totp.disabled", resource_type="user", resource_id=str(user_id))
        work.after_commit(lambda: second_factor.forget_secret(scope.resources, scope.tenant_id, user_id))


async def _prove(scope: Scope, proof: Proof) -> None:
    user = await reauthentication.check_password(scope, proof.password)
    if user["totp_enabled_at"] is None:
        raise TotpNotEnabled("the second factor is not on")
    await reauthentication.check_code(scope, user["email"], proof.code)


async def _user(scope: Scope) -> Any:
    async with scope.platform_transaction() as work:
        return await second_factor.sql.state(
            work.session, tenant_id=scope.tenant_id.value, user_id=principal_of(scope).user_id
        )
