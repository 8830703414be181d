"""What an operator does at the command line: `python -m functions.accounts.operator`.

    create-admin --email ADDRESS    make a platform administrator; the password is read from the input
    open-vault                      give administrators a place in Vault, for their second factors; needs
                                    a login to Vault with the policy `provisioner`
    rotate-signing-key [--at-once]  sign access tokens with a new key

Settings are those of the function `accounts`. There is no default administrator and no default password.
"""

import argparse
import asyncio
import getpass
import sys

from pydantic import TypeAdapter, ValidationError
from uuid_utils.compat import uuid7

from alphapulse.data import audit, queries
from alphapulse.data.audit import AuditEntry
from alphapulse.data.errors import DatabaseUnavailable
from alphapulse.runtime.resources import NotConfigured, Resources
from alphapulse.runtime.settings import InvalidSetting, Settings
from alphapulse.tenancy.signing_keys import RotationUnderWay
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import KeysUnavailable
from functions.accounts.passwords import hash_password
from functions.accounts.schemas import Email, Password
from functions.accounts.signing import signing_key_source

sql = queries.load(__file__, "operator.sql")


class Refused(Exception):
    """The command cannot be carried out; the message says why."""


async def create_admin(resources: Resources, *, email: str, password: str) -> TenantId:
    """Make a platform administrator in the tenant of the platform's own people, which the first one founds.

    Raises
    ------
    Refused
        The address or the password is not acceptable, or the address has an account.
    """
    try:
        TypeAdapter(Email).validate_python(email)
        TypeAdapter(Password).validate_python(password)
    except ValidationError as error:
        # Not the input: it may be the password.
        raise Refused("; ".join(str(found["msg"]) for found in error.errors())) from None
    password_hash, now = await hash_password(password), resources.clock()
    async with resources.platform.session() as session:
        found = await sql.operations_tenant(session)
    tenant_id = TenantId.new() if found is None else TenantId(found)
    async with resources.platform.session(tenant_id) as session:
        of_tenant = {"tenant_id": tenant_id.value, "now": now}
        if found is None:
            await sql.insert_tenant(session, **of_tenant)
        user = await sql.insert_admin(
            session, **of_tenant, user_id=uuid7(), email=email, password_hash=password_hash
        )
        if user is None:
            raise Refused("the address has an account")
        entry = AuditEntry(
            actor_type="operator",
            actor_id=getpass.getuser(),
            action="user.admin_created",
            resource_type="user",
            resource_id=str(user["id"]),
        )
        await audit.append(session, tenant_id.value, entry)
    return tenant_id


async def open_vault(resources: Resources) -> TenantId:
    """Give the tenant of the platform's own people its policy in Vault; return which it is.

    Raises
    ------
    Refused
        There is no administrator yet, or Vault refuses or does not answer.
    """
    from alphapulse.tenancy.vault.errors import VaultError  # noqa: PLC0415 - this command alone needs it

    async with resources.platform.session() as session:
        found = await sql.operations_tenant(session)
    if found is None:
        raise Refused("there is no platform administrator yet")
    tenant_id = TenantId(found)
    try:
        await resources.platform_vault.create_tenant(tenant_id)
    except VaultError as error:
        raise Refused(str(error)) from error
    return tenant_id


async def rotate_signing_key(resources: Resources, *, at_once: bool) -> str:
    """Make a new signing key; return what happens when.

    Raises
    ------
    Refused
        The last rotation is not over, or the keys cannot be reached.
    """
    try:
        keys = await signing_key_source(resources).rotate(resources.clock(), at_once=at_once)
    except (RotationUnderWay, KeysUnavailable) as error:
        raise Refused(str(error)) from error
    if at_once:
        return "all access tokens are void within ten minutes; logins go on with their refresh tokens"
    return f"published now; signs from {keys.keys[-1].signs_from:%Y-%m-%d %H:%M:%S} UTC"


async def _run(options: argparse.Namespace, resources: Resources) -> str:
    try:
        if options.command == "rotate-signing-key":
            return await rotate_signing_key(resources, at_once=options.at_once)
        if options.command == "open-vault":
            return f"{await open_vault(resources)} has its place in Vault"
        tenant_id = await create_admin(resources, email=options.email, password=_password())
        return f"{options.email} is a platform administrator in tenant {tenant_id}"
    finally:
        await resources.close()


def _password() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("Password: ")
    return sys.stdin.readline().rstrip("\n")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m functions.accounts.operator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("create-admin").add_argument("--email", required=True)
    commands.add_parser("open-vault")
    commands.add_parser("rotate-signing-key").add_argument("--at-once", action="store_true")
    options = parser.parse_args(arguments)
    try:
        resources = Resources(Settings.from_environment())
        print(asyncio.run(_run(options, resources)))  # noqa: T201 - a command line
    except (Refused, NotConfigured, InvalidSetting, DatabaseUnavailable) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
