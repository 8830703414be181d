"""Make Vault hold what `knative/platform/vault/` says: `python -m alphapulse.tenancy.vault.bootstrap`.

May be run at any time and any number of times: what is as it should be is left alone. Nothing is removed.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault.configuration import (
    APPROLE,
    KUBERNETES,
    Cluster,
    Entry,
    InvalidConfiguration,
    entries,
    functions,
)
from alphapulse.tenancy.vault.errors import VaultError
from alphapulse.tenancy.vault.paths import tenant_policy_name
from alphapulse.tenancy.vault.platform import tenant_policy
from alphapulse.tenancy.vault.transport import VaultServer, blocking

if TYPE_CHECKING:
    from hvac.adapters import JSONAdapter

ROLE_ID, SECRET_ID = "role-id", "secret-id"


@dataclass(frozen=True)
class Change:
    """A difference between the files and Vault.

    Attributes
    ----------
    sign
        `+` missing, `~` different, `!` different and not changed by this command.
    differences
        Names of fields with what Vault has and should have; of a policy only that its text differs.
    """

    sign: str
    entry: Entry
    differences: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.sign} {self.entry.what}", *(f"    {line}" for line in self.differences)])


def changes(adapter: "JSONAdapter", wanted: Iterable[Entry]) -> Iterator[Change]:
    """Yield what differs; reads only."""
    for entry in wanted:
        found = _find(adapter, entry)
        if found is None:
            yield Change("+", entry)
            continue
        differences = tuple(_differences(entry.desired, found))
        if differences:
            yield Change("!" if entry.made_once else "~", entry, differences)


def apply(adapter: "JSONAdapter", wanted: Iterable[Entry]) -> list[Change]:
    """Bring Vault to what is wanted and return what was changed."""
    done = []
    for entry in wanted:
        for change in changes(adapter, [entry]):
            if change.sign != "!":
                adapter.post(f"/v1/{entry.path}", json=entry.desired)
            done.append(change)
    return done


def tenants_policies(adapter: "JSONAdapter") -> list[Entry]:
    """Return the policy of every tenant there is, with the text that a new tenant's gets."""
    tenants = []
    for name in adapter.list("/v1/sys/policies/acl")["data"]["keys"]:
        with contextlib.suppress(ValueError):  # `tenant-` and something else than a tenant's id
            if name.startswith("tenant-"):
                tenants.append(TenantId.parse(name.removeprefix("tenant-")))
    return [
        Entry(
            f"policy {tenant_policy_name(tenant_id)}",
            f"sys/policies/acl/{tenant_policy_name(tenant_id)}",
            {"policy": tenant_policy(tenant_id)},
        )
        for tenant_id in tenants
    ]


def write_credentials(adapter: "JSONAdapter", names: Iterable[str], directory: Path) -> list[str]:
    """Write `<directory>/vault-<function>/role-id` and `secret-id`; return the functions that got new ones.

    A pair that still works is left alone. The files are readable by their owner only.
    """
    renewed = []
    for name in names:
        folder = directory / f"vault-{name}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        role = f"/v1/auth/approle/role/{name}"
        role_id = str(adapter.get(f"{role}/role-id")["data"]["role_id"])
        if _read(folder / ROLE_ID) == role_id and _works(adapter, role, _read(folder / SECRET_ID)):
            continue
        secret_id = str(adapter.post(f"{role}/secret-id", json={})["data"]["secret_id"])
        _write(folder / ROLE_ID, role_id)
        _write(folder / SECRET_ID, secret_id)
        renewed.append(name)
    return renewed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    options = _parser().parse_args(arguments)
    token = os.environ.get("VAULT_TOKEN")
    if not options.address or not token:
        message = "say where Vault is (VAULT_ADDR or --address) and who you are (VAULT_TOKEN)"
        print(message, file=sys.stderr)  # noqa: T201 - a command
        return 2
    methods = options.auth or [APPROLE]
    server = VaultServer(options.address, ca_file=options.cacert, namespace=os.environ.get("VAULT_NAMESPACE"))
    try:
        wanted = entries(options.files, methods=methods, cluster=_cluster(options))
        blocking(server, token, lambda adapter: _run(adapter, wanted, options), what="bootstrap")
    except (VaultError, InvalidConfiguration) as error:
        print(f"bootstrap of Vault failed: {error}", file=sys.stderr)  # noqa: T201 - a command
        return 1
    return 0


def _run(adapter: "JSONAdapter", wanted: list[Entry], options: argparse.Namespace) -> None:
    if options.tenants:
        wanted = [*wanted, *tenants_policies(adapter)]
    found = list(changes(adapter, wanted)) if options.dry_run else apply(adapter, wanted)
    for change in found:
        print(change)  # noqa: T201 - a command
    verb = "would change" if options.dry_run else "changed"
    changed = sum(change.sign != "!" for change in found)
    print(f"{verb} {changed} of {len(wanted)}; the others are as they should be")  # noqa: T201 - a command
    if options.credentials is not None and not options.dry_run:
        for name in write_credentials(adapter, functions(options.files), options.credentials):
            print(f"+ role id and secret id of {name}")  # noqa: T201 - a command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m alphapulse.tenancy.vault.bootstrap",
        description="Make Vault hold the mounts, policies and roles in the files; repeat it at will.",
    )
    parser.add_argument("--files", type=Path, required=True, help="such as knative/platform/vault")
    parser.add_argument("--address", default=os.environ.get("VAULT_ADDR"), help="default: VAULT_ADDR")
    parser.add_argument("--cacert", type=Path, default=os.environ.get("VAULT_CACERT"), help="to trust")
    parser.add_argument(
        "--auth",
        action="append",
        choices=[APPROLE, KUBERNETES],
        help="auth method to set up, may be repeated; default: approle",
    )
    parser.add_argument("--kubernetes-host", help="API server's address, as Vault reaches it")
    parser.add_argument(
        "--kubernetes-ca", type=Path, help="API server's authority (PEM), for a Vault outside the cluster"
    )
    parser.add_argument(
        "--credentials", type=Path, help="write vault-<function>/role-id and secret-id below this directory"
    )
    parser.add_argument(
        "--tenants", action="store_true", help="bring the policies of all tenants to the present text, too"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would change and change nothing")
    return parser


def _cluster(options: argparse.Namespace) -> Cluster | None:
    if options.kubernetes_host is None:
        return None
    authority = _read(options.kubernetes_ca) if options.kubernetes_ca is not None else ""
    return Cluster(options.kubernetes_host, ca_certificate=authority)


def _find(adapter: "JSONAdapter", entry: Entry) -> dict[str, Any] | None:
    from hvac.exceptions import InvalidPath, InvalidRequest  # noqa: PLC0415 - see transport

    try:
        answer = adapter.get(f"/v1/{entry.path}")
    except InvalidPath:
        return None
    except InvalidRequest:
        if entry.made_once:  # "no mount there" is a 400
            return None
        raise
    found: dict[str, Any] = answer["data"]
    return found


def _differences(desired: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for name, value in desired.items():
        now = found.get(name)
        if name == "policy":
            if str(now).strip() != str(value).strip():
                yield "the text differs"
        elif isinstance(value, dict):
            yield from _differences(value, now or {})
        elif _comparable(now) != _comparable(value):
            yield f"{name}: {now!r}, should be {value!r}"


def _comparable(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def _works(adapter: "JSONAdapter", role: str, secret_id: str) -> bool:
    from hvac.exceptions import InvalidPath, InvalidRequest  # noqa: PLC0415 - see transport

    if not secret_id:
        return False
    try:
        answer = adapter.post(f"{role}/secret-id/lookup", json={"secret_id": secret_id})
    except (InvalidPath, InvalidRequest):
        return False
    return isinstance(answer, dict)  # an unknown one is answered 204


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _write(file: Path, text: str) -> None:
    partial = file.with_name(f".{file.name}.part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
    partial.replace(file)


if __name__ == "__main__":
    sys.exit(main())
