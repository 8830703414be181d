"""`auth/approle/`: a role id and a secret id together are a login."""

import hashlib
import secrets
import time
from typing import Any

from uuid_utils import uuid4

from alphapulse_local.embedded.secret_store.answers import Answer
from alphapulse_local.embedded.secret_store.errors import Refused, nothing_there, unsupported
from alphapulse_local.embedded.secret_store.request import Request
from alphapulse_local.embedded.secret_store.storage import Storage
from alphapulse_local.embedded.secret_store.tokens import LONGEST_LIFE_SECONDS, Token, Tokens, auth_of

_ROLE, _ROLE_ID, _SECRET_ID = "approle", "approle-role-id", "approle-secret-id"
_UNSUPPORTED = (
    "secret_id_bound_cidrs",
    "token_bound_cidrs",
    "token_period",
    "token_explicit_max_ttl",
    "token_num_uses",
    "cidr_list",
    "token_bound_cidrs",
)
_WRONG = "invalid role or secret ID"


class AppRoleApi:
    """Answers below one mount of the method."""

    def __init__(self, storage: Storage, tokens: Tokens, *, mount: str) -> None:
        self._storage = storage
        self._tokens = tokens
        self._mount = mount

    def answer(self, request: Request, rest: str) -> Answer:
        """Answer a request that the policies allow."""
        if rest == "role" and request.operation == "list":
            names = [
                name.removeprefix(self._mount) for name in self._storage.names(_ROLE, prefix=self._mount)
            ]
            if not names:
                raise nothing_there()
            return Answer(data={"keys": names})
        section, _, rest = rest.partition("/")
        name, _, part = rest.partition("/")
        if section != "role" or not name:
            raise nothing_there()
        if not part:
            return self._role(request, name)
        role = self._known(name)
        if part == "role-id":
            return self._role_id(request, name, role)
        if part == "secret-id" and request.operation == "write":
            return self._new_secret_id(request, name, role)
        if part == "secret-id/lookup" and request.operation == "write":
            return self._look_up(request, name)
        if part == "secret-id/destroy" and request.operation == "write":
            self._storage.delete(_SECRET_ID, self._key(name, request.text("secret_id")))
            return Answer()
        raise nothing_there()

    def exists(self, rest: str) -> bool:
        """Say whether a write below `role/` changes something rather than creates it."""
        return (
            self._storage.get(_ROLE, self._mount + rest.removeprefix("role/").partition("/")[0]) is not None
        )

    def log_in(self, request: Request) -> Answer:
        """Exchange a role id and a secret id for a token."""
        known = self._storage.get(_ROLE_ID, self._mount + request.text("role_id"))
        if known is None:
            raise Refused(400, _WRONG)
        name = str(known["role"])
        role = self._known(name)
        if role["bind_secret_id"]:
            self._use_secret_id(name, request.text("secret_id"))
        policies = set(role["token_policies"]) | (set() if role["token_no_default_policy"] else {"default"})
        life = min(role["token_ttl"] or LONGEST_LIFE_SECONDS, role["token_max_ttl"] or LONGEST_LIFE_SECONDS)
        batch = role["token_type"] == "batch"  # noqa: S105 - a kind of token, not one
        token = Token(
            policies=sorted(policies),
            kind="batch" if batch else "service",
            path=f"auth/{self._mount}login",
            display_name=self._mount.removesuffix("/"),
            meta={"role_name": name},
            life_seconds=life,
            longest_seconds=role["token_max_ttl"] or LONGEST_LIFE_SECONDS,
            renewable=not batch,
        )
        text = self._tokens.make(token)
        return Answer(auth=auth_of(token, text))

    def _role(self, request: Request, name: str) -> Answer:
        key = self._mount + name
        before = self._storage.get(_ROLE, key)
        if request.operation == "write":
            role = _role_of(request, before or {"role_id": str(uuid4())})
            self._storage.put(_ROLE, key, role)
            self._storage.put(_ROLE_ID, self._mount + role["role_id"], {"role": name})
            return Answer()
        if request.operation == "delete":
            if before is not None:
                self._storage.delete(_ROLE_ID, self._mount + before["role_id"])
                for secret_id in self._storage.names(_SECRET_ID, prefix=f"{key}:"):
                    self._storage.delete(_SECRET_ID, secret_id)
            self._storage.delete(_ROLE, key)
            return Answer()
        if before is None:
            raise nothing_there()
        return Answer(data={name: value for name, value in before.items() if name != "role_id"})

    def _role_id(self, request: Request, name: str, role: dict[str, Any]) -> Answer:
        if request.operation == "read":
            return Answer(data={"role_id": role["role_id"]})
        self._storage.delete(_ROLE_ID, self._mount + role["role_id"])
        role["role_id"] = request.text("role_id")
        self._storage.put(_ROLE, self._mount + name, role)
        self._storage.put(_ROLE_ID, self._mount + role["role_id"], {"role": name})
        return Answer()

    def _new_secret_id(self, request: Request, name: str, role: dict[str, Any]) -> Answer:
        for unknown in ("cidr_list", "token_bound_cidrs"):
            if request.body.get(unknown):
                raise unsupported(f"{unknown} of a secret id")
        text = str(uuid4())
        life = request.seconds("ttl") or role["secret_id_ttl"]
        document = {
            "accessor": secrets.token_urlsafe(18),
            "expires": time.time() + life if life else 0,
            "uses": request.number("num_uses") or role["secret_id_num_uses"],
        }
        self._storage.put(_SECRET_ID, self._key(name, text), document)
        return Answer(
            data={
                "secret_id": text,
                "secret_id_accessor": document["accessor"],
                "secret_id_ttl": int(life),
                "secret_id_num_uses": document["uses"],
            }
        )

    def _look_up(self, request: Request, name: str) -> Answer:
        document = self._storage.get(_SECRET_ID, self._key(name, request.text("secret_id")))
        if document is None or _expired(document):
            return Answer()
        return Answer(
            data={"secret_id_accessor": document["accessor"], "secret_id_num_uses": document["uses"]}
        )

    def _use_secret_id(self, name: str, text: str) -> None:
        key = self._key(name, text)
        document = self._storage.get(_SECRET_ID, key)
        if document is None or _expired(document):
            raise Refused(400, _WRONG)
        if document["uses"] == 1:
            self._storage.delete(_SECRET_ID, key)
        elif document["uses"] > 1:
            self._storage.put(_SECRET_ID, key, document | {"uses": document["uses"] - 1})

    def _known(self, name: str) -> dict[str, Any]:
        role = self._storage.get(_ROLE, self._mount + name)
        if role is None:
            raise nothing_there()
        return role

    def _key(self, name: str, text: str) -> str:
        return f"{self._mount}{name}:{hashlib.sha256(text.encode()).hexdigest()}"


def _expired(document: dict[str, Any]) -> bool:
    return bool(document["expires"]) and document["expires"] <= time.time()


def _role_of(request: Request, before: dict[str, Any]) -> dict[str, Any]:
    for name in _UNSUPPORTED:
        if request.body.get(name) not in (None, 0, "", [], "0"):
            raise unsupported(f"{name} of an AppRole")
    return {
        "role_id": before["role_id"],
        "bind_secret_id": request.flag("bind_secret_id", default=before.get("bind_secret_id", True)),
        "secret_id_num_uses": request.number("secret_id_num_uses", before.get("secret_id_num_uses", 0)),
        "secret_id_ttl": request.seconds("secret_id_ttl", before.get("secret_id_ttl", 0)),
        "token_max_ttl": request.seconds("token_max_ttl", before.get("token_max_ttl", 0)),
        "token_no_default_policy": request.flag(
            "token_no_default_policy", default=before.get("token_no_default_policy", False)
        ),
        "token_policies": request.names("token_policies", before.get("token_policies", [])),
        "token_ttl": request.seconds("token_ttl", before.get("token_ttl", 0)),
        "token_type": request.text("token_type", before.get("token_type", "default")),
    }
