"""The password, or a code, once more: for what a borrowed browser must not be enough.

Guesses count like guesses at a login, passwords and codes each on a count of its own: whoever knows the
password could otherwise begin to count guessed codes anew with it.
"""

from typing import Any

from pydantic import SecretStr

from alphapulse.data.session import Session
from alphapulse.runtime.errors import NotPermitted
from alphapulse.runtime.work import Scope
from functions.accounts import second_factor, throttling
from functions.accounts.callers import principal_of
from functions.accounts.logins import InvalidTotp, TotpRequired
from functions.accounts.passwords import verify_password


class WrongPassword(NotPermitted):
    """The caller's password is another one. No 401: the login itself is good."""

    code = "wrong_password"


class WrongCode(NotPermitted):
    """The code is wrong, was used before, or is too old."""

    code = "wrong_code"


async def check_password(scope: Scope, password: SecretStr) -> Any:
    """Return the caller's e-mail address, password hash and state of the second factor.

    Raises
    ------
    WrongPassword
        It is not the caller's password.
    functions.accounts.throttling.TooManyAttempts
        The account is locked for a while.
    """
    of_user = {"tenant_id": scope.tenant_id.value, "user_id": principal_of(scope).user_id}
    async with scope.platform_transaction() as work:
        user = await second_factor.sql.state(work.session, **of_user)
    await _count(scope, throttling.account_key(user["email"], of="proof"))
    if not await verify_password(user["password_hash"], password.get_secret_value()):
        raise WrongPassword("the password is wrong")
    async with scope.platform_transaction() as work:
        await throttling.sql.clear(work.session, key=throttling.account_key(user["email"], of="proof"))
    return user


async def check_second_factor(scope: Scope, user: Any, totp: SecretStr | None) -> None:
    """Use a code up if the caller's second factor is on, as a login does.

    Parameters
    ----------
    user
        What `check_password` returned.

    Raises
    ------
    functions.accounts.logins.TotpRequired, functions.accounts.logins.InvalidTotp
        The code is missing or wrong.
    functions.accounts.throttling.TooManyAttempts
        Codes are locked for a while.
    """
    if user["totp_enabled_at"] is None:
        return
    if totp is None:
        raise TotpRequired("a code of the second factor is needed")
    try:
        await check_code(scope, user["email"], totp)
    except WrongCode as error:
        raise InvalidTotp("the code is wrong or was used before") from error


async def check_code(scope: Scope, email: str, code: SecretStr) -> None:
    """Use a code of the second factor up.

    Raises
    ------
    WrongCode
        It is none of the caller's.
    """
    await count_code(scope, email)
    user_id = principal_of(scope).user_id
    if not await second_factor.accepts(scope.resources, scope.tenant_id, user_id, code.get_secret_value()):
        raise WrongCode("the code is wrong or was used before")
    async with scope.platform_transaction() as work:
        await forget_codes(work.session, email)


async def count_code(scope: Scope, email: str) -> None:
    """Count a code that the caller shows; raises `TooManyAttempts`."""
    await _count(scope, throttling.account_key(email, of="code"))


async def forget_codes(session: Session, email: str) -> None:
    """Forget the codes that the caller has shown: the last one was good."""
    await throttling.sql.clear(session, key=throttling.account_key(email, of="code"))


async def _count(scope: Scope, key: str) -> None:
    async with scope.resources.platform.session() as session:
        until = await throttling.charge(session, key, throttling.ACCOUNT, now=scope.now)
    if until is not None:
        raise throttling.refusal(until, scope.now)
