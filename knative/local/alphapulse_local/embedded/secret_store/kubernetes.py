"""`auth/kubernetes/`: a service account's token, judged by the cluster's TokenReview, is a login."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from alphapulse_local.embedded.secret_store.answers import Answer
from alphapulse_local.embedded.secret_store.errors import Refused, denied, nothing_there
from alphapulse_local.embedded.secret_store.request import Request
from alphapulse_local.embedded.secret_store.storage import Storage
from alphapulse_local.embedded.secret_store.tokens import LONGEST_LIFE_SECONDS, Token, Tokens, auth_of

_ROLE, _CONFIG = "kubernetes-role", "kubernetes-config"
_REVIEW_TIMEOUT_SECONDS = 5


class KubernetesApi:
    """Answers below one mount of the method."""

    def __init__(self, storage: Storage, tokens: Tokens, *, mount: str) -> None:
        self._storage = storage
        self._tokens = tokens
        self._mount = mount

    def answer(self, request: Request, rest: str) -> Answer:
        """Answer a request that the policies allow."""
        if rest == "config":
            return self._keep_or_tell(request, _CONFIG, self._mount, _config_of)
        section, _, name = rest.partition("/")
        if section == "role" and name:
            return self._keep_or_tell(request, _ROLE, self._mount + name, _role_of)
        raise nothing_there()

    def log_in(self, request: Request) -> Answer:
        """Exchange a service account's token for a token."""
        name = request.text("role")
        role = self._storage.get(_ROLE, self._mount + name)
        if role is None:
            raise Refused(400, f"invalid role name {name!r}")
        namespace, account = self._reviewed(request.text("jwt"))
        if not _matches(account, role["bound_service_account_names"]) or not _matches(
            namespace, role["bound_service_account_namespaces"]
        ):
            raise denied()
        policies = set(role["token_policies"]) | (set() if role["token_no_default_policy"] else {"default"})
        token = Token(
            policies=sorted(policies),
            path=f"auth/{self._mount}login",
            display_name=f"kubernetes-{namespace}-{account}",
            meta={"role": name, "service_account_name": account, "service_account_namespace": namespace},
            life_seconds=role["token_ttl"] or LONGEST_LIFE_SECONDS,
            longest_seconds=role["token_max_ttl"] or LONGEST_LIFE_SECONDS,
        )
        text = self._tokens.make(token)
        return Answer(auth=auth_of(token, text))

    def _keep_or_tell(
        self, request: Request, kind: str, name: str, read: Callable[[Request], dict[str, Any]]
    ) -> Answer:
        if request.operation == "write":
            self._storage.put(kind, name, read(request))
            return Answer()
        if request.operation == "delete":
            self._storage.delete(kind, name)
            return Answer()
        found = self._storage.get(kind, name)
        if found is None:
            raise nothing_there()
        return Answer(data={key: value for key, value in found.items() if key != "token_reviewer_jwt"})

    def _reviewed(self, jwt: str) -> tuple[str, str]:
        """Return (namespace, service account) of a token the cluster vouches for."""
        config = self._storage.get(_CONFIG, self._mount)
        if config is None:
            raise Refused(500, "could not load backend configuration")
        review = urllib.request.Request(  # noqa: S310 - the address is the administrator's
            config["kubernetes_host"].rstrip("/") + "/apis/authentication.k8s.io/v1/tokenreviews",
            data=json.dumps({"spec": {"token": jwt}}).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {config['token_reviewer_jwt'] or jwt}",
            },
        )
        authority = config["kubernetes_ca_cert"]
        trusted = ssl.create_default_context(cadata=authority) if authority else None
        try:
            with urllib.request.urlopen(  # noqa: S310 - as above
                review, timeout=_REVIEW_TIMEOUT_SECONDS, context=trusted
            ) as answer:
                status = json.load(answer)["status"]
        except urllib.error.HTTPError as error:
            raise denied() from error
        except (OSError, ValueError, KeyError) as error:
            raise Refused(500, "the cluster does not answer") from error
        user = str(status.get("user", {}).get("username", ""))
        prefix, _, account = user.rpartition(":")
        if not status.get("authenticated") or not prefix.startswith("system:serviceaccount:"):
            raise denied()
        return prefix.removeprefix("system:serviceaccount:"), account


def _config_of(request: Request) -> dict[str, Any]:
    if request.flag("disable_local_ca_jwt") and not request.text("kubernetes_ca_cert"):
        raise Refused(400, "kubernetes_ca_cert must be given when disable_local_ca_jwt is true")
    return {
        "kubernetes_host": request.text("kubernetes_host"),
        "kubernetes_ca_cert": request.text("kubernetes_ca_cert"),
        "token_reviewer_jwt": request.text("token_reviewer_jwt"),
        "disable_local_ca_jwt": request.flag("disable_local_ca_jwt"),
        "disable_iss_validation": request.flag("disable_iss_validation", default=True),
    }


def _role_of(request: Request) -> dict[str, Any]:
    return {
        "bound_service_account_names": request.names("bound_service_account_names"),
        "bound_service_account_namespaces": request.names("bound_service_account_namespaces"),
        "audience": request.text("audience"),
        "token_policies": request.names("token_policies"),
        "token_ttl": request.seconds("token_ttl"),
        "token_max_ttl": request.seconds("token_max_ttl"),
        "token_no_default_policy": request.flag("token_no_default_policy"),
    }


def _matches(value: str, allowed: list[str]) -> bool:
    return "*" in allowed or value in allowed
