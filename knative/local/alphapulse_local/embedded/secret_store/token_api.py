"""`auth/token/`: tokens made by tokens, token roles, and what a token may do with itself."""

import datetime as dt
from fnmatch import fnmatchcase
from typing import Any

from alphapulse_local.embedded.secret_store.answers import Answer
from alphapulse_local.embedded.secret_store.errors import Refused, nothing_there, unsupported
from alphapulse_local.embedded.secret_store.request import Request
from alphapulse_local.embedded.secret_store.storage import Storage
from alphapulse_local.embedded.secret_store.tokens import LONGEST_LIFE_SECONDS, Token, Tokens, auth_of

_KIND = "token-role"


class TokenApi:
    """Answers below `auth/token/`."""

    def __init__(self, storage: Storage, tokens: Tokens) -> None:
        self._storage = storage
        self._tokens = tokens

    def answer(self, request: Request, rest: str, caller: Token) -> Answer:
        """Answer a request that the policies allow."""
        section, _, name = rest.partition("/")
        if rest == "lookup-self" and request.operation in ("read", "write"):
            return Answer(data=_described(caller, request.token))
        if section == "roles":
            return self._role(request, name)
        if request.operation != "write":
            raise Refused(405, "1 error occurred:\n\t* unsupported operation\n\n")
        if section == "create":
            return self._create(request, caller, role=self._known_role(name) if name else None)
        if rest == "renew-self":
            return self._renew(request, caller)
        if rest == "revoke-self":
            return self._revoke(caller)
        raise nothing_there()

    def _revoke(self, caller: Token) -> Answer:
        if caller.kind == "batch":
            raise Refused(400, "batch tokens cannot be revoked")
        self._tokens.revoke(caller)
        return Answer()

    def _renew(self, request: Request, caller: Token) -> Answer:
        if caller.kind == "batch":
            raise Refused(400, "batch tokens cannot be renewed")
        if caller.renewable:
            self._tokens.renew(caller, request.seconds("increment"))
        return Answer(auth=auth_of(caller, request.token))

    def _create(self, request: Request, caller: Token, *, role: dict[str, Any] | None) -> Answer:
        if caller.kind == "batch":
            raise Refused(400, "batch tokens cannot create more tokens")
        for name in ("num_uses", "period", "explicit_max_ttl", "id", "entity_alias"):
            if request.body.get(name) not in (None, 0, "", "0"):
                raise unsupported(f"{name} of a token")
        policies = _policies(request, caller, role)
        kind = _kind(request, role)
        life = min(request.seconds("ttl") or LONGEST_LIFE_SECONDS, LONGEST_LIFE_SECONDS)
        orphan = bool(role and role["orphan"]) or (request.flag("no_parent") and caller.is_root)
        token = Token(
            policies=policies,
            kind=kind,
            path="auth/token/create" + (f"/{role['name']}" if role else ""),
            display_name="token" + (f"-{name}" if (name := request.text("display_name")) else ""),
            meta=request.body.get("meta") or {},
            life_seconds=life,
            renewable=kind == "service"
            and request.flag("renewable", default=True)
            and bool(role is None or role["renewable"]),
            parent="" if orphan else caller.name,
        )
        text = self._tokens.make(token)
        return Answer(auth=auth_of(token, text))

    def _known_role(self, name: str) -> dict[str, Any]:
        role = self._storage.get(_KIND, name)
        if role is None:
            raise Refused(400, f"unknown role {name}")
        return role

    def _role(self, request: Request, name: str) -> Answer:
        if not name and request.operation == "list":
            return Answer(data=_listed(self._storage.names(_KIND)))
        found = self._storage.get(_KIND, name)
        if request.operation == "write":
            self._storage.put(_KIND, name, _role_of(request, name, found or {}))
            return Answer()
        if request.operation == "delete":
            self._storage.delete(_KIND, name)
            return Answer()
        if found is None:
            raise nothing_there()
        return Answer(data=found)


def _policies(request: Request, caller: Token, role: dict[str, Any] | None) -> list[str]:
    asked = request.names("policies")
    if role is not None:
        asked = asked or list(role["allowed_policies"])
        if not all(_may_have(role, policy) for policy in asked):
            raise Refused(400, f"token policies ({asked}) must be subset of the role's allowed policies")
    elif not caller.is_root:
        asked = asked or caller.policies
        if not set(asked) <= set(caller.policies):
            raise Refused(400, "child policies must be subset of parent")
    elif not asked:
        asked = ["root"]
    if "root" in asked and not (caller.is_root and role is None):
        raise Refused(400, "root tokens may not be created without parent token being root")
    without_default = request.flag("no_default_policy") or bool(role and role["token_no_default_policy"])
    return sorted(set(asked) if without_default or "root" in asked else {*asked, "default"})


def _may_have(role: dict[str, Any], policy: str) -> bool:
    if policy in role["disallowed_policies"] or any(
        fnmatchcase(policy, pattern) for pattern in role["disallowed_policies_glob"]
    ):
        return False
    limited = role["allowed_policies"] or role["allowed_policies_glob"]
    return (
        not limited
        or policy in role["allowed_policies"]
        or any(fnmatchcase(policy, pattern) for pattern in role["allowed_policies_glob"])
    )


def _kind(request: Request, role: dict[str, Any] | None) -> str:
    fixed = role["token_type"] if role else "default-service"
    if fixed in ("service", "batch"):
        return str(fixed)
    kind = request.text("type") or ("batch" if fixed == "default-batch" else "service")
    if kind not in ("service", "batch"):
        raise Refused(400, f"invalid type {kind}")
    return kind


def _role_of(request: Request, name: str, before: dict[str, Any]) -> dict[str, Any]:
    for unknown in ("token_period", "token_explicit_max_ttl", "token_num_uses", "token_bound_cidrs"):
        if request.body.get(unknown) not in (None, 0, "", [], "0"):
            raise unsupported(f"{unknown} of a token role")
    lists = ("allowed_policies", "allowed_policies_glob", "disallowed_policies", "disallowed_policies_glob")
    role: dict[str, Any] = {
        "name": name,
        **{key: request.names(key, before.get(key, [])) for key in lists},
        "orphan": request.flag("orphan", default=before.get("orphan", False)),
        "renewable": request.flag("renewable", default=before.get("renewable", True)),
        "token_no_default_policy": request.flag(
            "token_no_default_policy", default=before.get("token_no_default_policy", False)
        ),
        "token_type": request.text("token_type", before.get("token_type", "default-service")),
    }
    batch = role["token_type"] == "batch"  # noqa: S105 - a kind of token, not one
    if batch and (role["renewable"] or not role["orphan"]):
        raise Refused(
            400, "'token_type' cannot be 'batch' when role is set to generate renewable or non-orphan tokens"
        )
    return role


def _described(token: Token, text: str) -> dict[str, Any]:
    return {
        "accessor": token.accessor,
        "creation_time": int(token.created),
        "creation_ttl": int(token.life_seconds),
        "display_name": token.display_name,
        "entity_id": "",
        "expire_time": _time(token.expires) if token.expires else None,
        "explicit_max_ttl": 0,
        "id": text,
        "issue_time": _time(token.created),
        "meta": token.meta or None,
        "num_uses": 0,
        "orphan": not token.parent,
        "path": token.path,
        "policies": token.policies,
        "renewable": token.renewable,
        "ttl": token.left_seconds(),
        "type": token.kind,
    }


def _listed(names: list[str]) -> dict[str, Any]:
    if not names:
        raise nothing_there()
    return {"keys": names}


def _time(timestamp: float) -> str:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC).isoformat().replace("+00:00", "Z")
