"""`sys/`: engines and methods that are mounted, policies, health."""

import time
from typing import Any

from alphapulse_local.embedded.secret_store.acl import rules
from alphapulse_local.embedded.secret_store.answers import Answer
from alphapulse_local.embedded.secret_store.errors import Refused, nothing_there, unsupported
from alphapulse_local.embedded.secret_store.hcl import InvalidHcl
from alphapulse_local.embedded.secret_store.request import Request
from alphapulse_local.embedded.secret_store.storage import Storage

VERSION = "0-development-store"
# What Vault gives to every token that does not decline it.
_DEFAULT_POLICY = """
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
"""
_POLICY, _MOUNT, _AUTH = "policy", "mount", "auth"


class SystemApi:
    """Answers below `sys/`."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        with storage.transaction():
            if storage.get(_POLICY, "default") is None:
                storage.put(_POLICY, "default", {"name": "default", "policy": _DEFAULT_POLICY})

    def answer(self, request: Request, rest: str) -> Answer:
        """Answer a request that the policies allow."""
        section, _, name = rest.partition("/")
        if rest == "health":
            return Answer(raw=health())
        if rest in ("policies/acl", "policies/acl/") and request.operation in ("list", "read"):
            return Answer(data={"keys": [*self._storage.names(_POLICY), "root"]})
        if rest.startswith("policies/acl/"):
            return self._policy(request, rest.removeprefix("policies/acl/"))
        if section in ("mounts", "auth"):
            return self._mounts(request, _MOUNT if section == "mounts" else _AUTH, name)
        raise nothing_there()

    def policy(self, name: str) -> str | None:
        """Return the text of a policy."""
        document = self._storage.get(_POLICY, name)
        return None if document is None else str(document["policy"])

    def mount_of(self, path: str) -> tuple[str, str, str] | None:
        """Return (kind, mount, rest) of a path below a secrets engine or, with `auth/`, a method."""
        kind, prefix = (_AUTH, "auth/") if path.startswith("auth/") else (_MOUNT, "")
        below = path.removeprefix(prefix)
        for mount in self._storage.names(kind):
            if below.startswith(mount):
                document = self._storage.get(kind, mount) or {}
                return str(document["type"]), mount, below.removeprefix(mount)
        return None

    def _policy(self, request: Request, name: str) -> Answer:
        if request.operation == "write":
            if name in ("root", "") or name != name.lower():
                raise Refused(400, f"cannot update {name!r} policy")
            text = request.text("policy")
            try:
                rules(text)
            except InvalidHcl as error:
                raise Refused(400, f"failed to parse policy: {error}") from error
            self._storage.put(_POLICY, name, {"name": name, "policy": text})
            return Answer()
        if request.operation == "delete":
            if name in ("root", "default"):
                raise Refused(400, f"cannot delete {name!r} policy")
            self._storage.delete(_POLICY, name)
            return Answer()
        document = self._storage.get(_POLICY, name)
        if document is None:
            raise nothing_there()
        return Answer(data=document)

    def _mounts(self, request: Request, kind: str, name: str) -> Answer:
        if not name:
            return Answer(data={mount: self._storage.get(kind, mount) for mount in self._storage.names(kind)})
        tune = name.endswith("/tune")
        mount = name.removesuffix("/tune").rstrip("/") + "/"
        found = self._storage.get(kind, mount)
        if request.operation == "write" and not tune:
            return self._new_mount(request, kind, mount)
        if found is None:
            raise Refused(400, f"No mount at {mount}")
        if request.operation == "write":
            if request.body.get("description") is not None:
                found["description"] = request.text("description")
            self._storage.put(kind, mount, found)
            return Answer()
        if request.operation == "delete":
            raise unsupported("taking away a mount")
        return Answer(data=found)

    def _new_mount(self, request: Request, kind: str, mount: str) -> Answer:
        if self._storage.get(kind, mount) is not None:
            raise Refused(400, f"path is already in use at {mount}")
        engine = request.text("type")
        options = request.body.get("options") or {}
        if kind == _MOUNT and not (engine == "kv-v2" or (engine == "kv" and options.get("version") == "2")):
            raise unsupported(f"secrets engine {engine!r}; only kv version 2")
        if kind == _AUTH and engine not in ("approle", "kubernetes"):
            raise unsupported(f"auth method {engine!r}")
        document: dict[str, Any] = {
            "type": "kv" if kind == _MOUNT else engine,
            "description": request.text("description"),
            "options": {"version": "2"} if kind == _MOUNT else None,
            "local": False,
            "seal_wrap": False,
            "accessor": f"{engine}_{mount.rstrip('/')}",
            "config": {"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": False},
        }
        self._storage.put(kind, mount, document)
        return Answer()


def health() -> dict[str, Any]:
    """Return what `sys/health` says."""
    return {
        "initialized": True,
        "sealed": False,
        "standby": False,
        "performance_standby": False,
        "server_time_utc": int(time.time()),
        "version": VERSION,
        "cluster_name": "alphapulse-development-store-not-vault",
    }
