"""The store as a whole: who asks, whether they may, and who answers."""

import secrets
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from alphapulse_local.embedded.secret_store.acl import Rule, allows, holds_sudo, rules
from alphapulse_local.embedded.secret_store.answers import Answer
from alphapulse_local.embedded.secret_store.approle import AppRoleApi
from alphapulse_local.embedded.secret_store.errors import Refused, denied
from alphapulse_local.embedded.secret_store.kubernetes import KubernetesApi
from alphapulse_local.embedded.secret_store.kv import KvApi
from alphapulse_local.embedded.secret_store.request import Request
from alphapulse_local.embedded.secret_store.storage import Storage
from alphapulse_local.embedded.secret_store.system import SystemApi, health
from alphapulse_local.embedded.secret_store.token_api import TokenApi
from alphapulse_local.embedded.secret_store.tokens import Token, Tokens

_NEEDS_SUDO = "sys/auth"
_CAPABILITY = {"read": "read", "list": "list", "delete": "delete", "write": "update"}


class _Engine(Protocol):
    def answer(self, request: Request, rest: str) -> Answer:
        """Answer a request that the policies allow."""


class SecretStore:
    """Answers requests; one at a time, each a transaction.

    Parameters
    ----------
    directory
        Holds `store.db` and `root-token`, both readable by their owner only. The root token is made when
        there is none.
    """

    def __init__(self, directory: Path) -> None:
        self._storage = Storage(directory / "store.db")
        self._tokens = Tokens(self._storage)
        self._system = SystemApi(self._storage)
        self._token_api = TokenApi(self._storage, self._tokens)
        self._make_root(directory / "root-token")

    def answer(self, request: Request) -> Answer:
        """Answer a request.

        Raises
        ------
        Refused
            With the status and errors Vault would answer.
        """
        if request.path == "sys/health":
            return Answer(raw=health())
        if any(segment in ("", ".", "..") for segment in request.path.rstrip("/").split("/")):
            raise Refused(400, "path must not hold empty, '.' or '..' segments")
        with self._storage.transaction():
            login = self._login(request)
            if login is not None:
                return login
            return self._authorised(request)

    def close(self) -> None:
        """Close the file."""
        self._storage.close()

    def _login(self, request: Request) -> Answer | None:
        mounted = self._system.mount_of(request.path)
        if mounted is None or request.operation != "write" or not request.path.startswith("auth/"):
            return None
        kind, mount, rest = mounted
        if rest != "login":
            return None
        if kind == "approle":
            return AppRoleApi(self._storage, self._tokens, mount=mount).log_in(request)
        return KubernetesApi(self._storage, self._tokens, mount=mount).log_in(request)

    def _authorised(self, request: Request) -> Answer:
        caller = self._tokens.find(request.token)
        path = request.path
        engine, rest = self._engine(path)
        if not caller.is_root:
            self._check(request, caller, engine, rest)
        if path.startswith("auth/token/"):
            return self._token_api.answer(request, path.removeprefix("auth/token/").rstrip("/"), caller)
        if path.startswith("sys/"):
            return self._system.answer(request, path.removeprefix("sys/"))
        if engine is None:
            raise Refused(404, f'no handler for route "{path}". route entry not found.')
        return engine.answer(request, rest)

    def _check(self, request: Request, caller: Token, engine: _Engine | None, rest: str) -> None:
        held = self._rules(caller)
        capability = _CAPABILITY[request.operation]
        if capability == "update" and isinstance(engine, (KvApi, AppRoleApi)) and not engine.exists(rest):
            capability = "create"
        path = request.path
        if capability == "list" and not path.endswith("/"):
            path += "/"
        if not allows(held, path, capability, request.body):
            raise denied()
        if path.startswith(_NEEDS_SUDO) and not holds_sudo(held, path):
            raise denied()

    def _rules(self, caller: Token) -> list[Rule]:
        texts = (self._system.policy(name) for name in caller.policies)
        return [rule for text in texts if text is not None for rule in _parsed(text)]

    def _engine(self, path: str) -> tuple[_Engine | None, str]:
        mounted = self._system.mount_of(path)
        if mounted is None:
            return None, ""
        kind, mount, rest = mounted
        rest = rest.rstrip("/")
        if kind == "kv":
            return KvApi(self._storage, mount=mount), rest
        if kind == "approle":
            return AppRoleApi(self._storage, self._tokens, mount=mount), rest
        return KubernetesApi(self._storage, self._tokens, mount=mount), rest

    def _make_root(self, file: Path) -> None:
        if file.exists():
            return
        with self._storage.transaction():
            text = self._tokens.make(Token(policies=["root"], path="auth/token/root", renewable=False))
        partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        partial.touch(mode=0o600)
        partial.write_text(text)
        partial.replace(file)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> tuple[Rule, ...]:
    return tuple(rules(text))
