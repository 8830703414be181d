"""The second factor: time-based codes (RFC 6238), each accepted once, and recovery codes.

The secret is in the tenant's part of Vault and nowhere else. Recovery codes have 78 random bits each and are
stored as hashes.
"""

import datetime as dt
import hashlib
import hmac
import secrets
import uuid
from typing import Any

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.runtime.errors import Conflict
from alphapulse.runtime.resources import Resources
from alphapulse.tenancy.tenant import TenantId

ISSUER = "AlphaPulse"
_STEP_SECONDS = 30
# Clocks of phones are seconds off, and people type slowly.
_STEPS_AROUND = (0, -1, 1)
_RECOVERY_CODES = 10
# Without what people mix up: 30 characters, 78 bits in 16 of them.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz2345678"
_CODE_CHARACTERS = 16

sql = queries.load(__file__, "second_factor.sql")


async def new_secret(resources: Resources, tenant_id: TenantId, user_id: uuid.UUID) -> str:
    """Store a new secret, which counts once it is confirmed, and return it.

    Raises
    ------
    Conflict
        The tenant has no place in Vault: it is not provisioned.
    """
    import pyotp  # noqa: PLC0415 - only people with a second factor pay for it

    from alphapulse.tenancy.vault.errors import VaultDenied  # noqa: PLC0415 - as above

    secret = pyotp.random_base32()
    try:
        await resources.vault.tenant(tenant_id).write(*_path(user_id), data={"secret": secret})
    except VaultDenied as error:
        raise Conflict("the tenant is not provisioned yet", code="tenant_not_active") from error
    return secret


def provisioning_uri(secret: str, email: str) -> str:
    """Return what an authenticator's QR code holds."""
    import pyotp  # noqa: PLC0415 - as above

    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


async def forget_secret(resources: Resources, tenant_id: TenantId, user_id: uuid.UUID) -> None:
    """Remove a user's secret."""
    await resources.vault.tenant(tenant_id).delete(*_path(user_id))


async def accepts(resources: Resources, tenant_id: TenantId, user_id: uuid.UUID, code: str) -> bool:
    """Tell whether a code or recovery code is good, and use it up."""
    of_user = {"tenant_id": tenant_id.value, "user_id": user_id}
    if not is_totp(code):
        async with resources.platform.session(tenant_id) as session:
            code_hash = _code_hash(code)
            used = await sql.use_recovery_code(session, **of_user, code_hash=code_hash, now=resources.clock())
            return used is not None
    step = await matching_step(resources, tenant_id, user_id, code)
    if step is None:
        return False
    async with resources.platform.session(tenant_id) as session:
        return await sql.accept_step(session, **of_user, step=step) is not None


async def matching_step(
    resources: Resources, tenant_id: TenantId, user_id: uuid.UUID, code: str
) -> int | None:
    """Return the step a code belongs to, None if it is no code of this time."""
    vault, path = resources.vault.tenant(tenant_id), _path(user_id)
    # Never from memory: another process may have replaced the secret, because the phone with it was lost.
    vault.forget(*path)
    stored = await vault.read(*path)
    return None if stored is None else _step(stored.data["secret"], code, resources.clock())


async def new_recovery_codes(session: Session, user_id: uuid.UUID, *, now: dt.datetime) -> list[str]:
    """Replace a user's recovery codes; return the new ones, which are shown once."""
    tenant_id = session.tenant
    codes = [
        "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_CHARACTERS)) for _ in range(_RECOVERY_CODES)
    ]
    await sql.forget_recovery_codes(session, tenant_id=tenant_id, user_id=user_id)
    rows: list[dict[str, Any]] = [
        {"tenant_id": tenant_id, "id": uuid7(), "user_id": user_id, "code_hash": _code_hash(code), "now": now}
        for code in codes
    ]
    await sql.insert_recovery_code(session, rows)
    return ["-".join(code[at : at + 4] for at in range(0, _CODE_CHARACTERS, 4)) for code in codes]


def is_totp(code: str) -> bool:
    """Tell a code of an authenticator from a recovery code."""
    return len(code) == 6 and code.isascii() and code.isdigit()  # noqa: PLR2004 - RFC 6238's usual length


def _step(secret: str, code: str, now: dt.datetime) -> int | None:
    import pyotp  # noqa: PLC0415 - as above

    current = int(now.timestamp()) // _STEP_SECONDS
    totp = pyotp.TOTP(secret)
    steps = [current + offset for offset in _STEPS_AROUND]
    matching = [step for step in steps if hmac.compare_digest(totp.at(step * _STEP_SECONDS), code)]
    return matching[0] if matching else None


def _path(user_id: uuid.UUID) -> tuple[str, str, str]:
    return "users", str(user_id), "totp"


def _code_hash(code: str) -> bytes:
    plain = "".join(character for character in code.lower() if character.isalnum())
    return hashlib.sha256(plain.encode()).digest()
