"""How a process proves to Vault which function it is."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from alphapulse.tenancy.vault.errors import VaultDenied

if TYPE_CHECKING:
    from hvac.adapters import JSONAdapter

SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and how long it holds; infinite for a token without an end."""

    token: str = field(repr=False)
    lifetime_seconds: float
    renewable: bool = False


class Login(Protocol):
    """Gets a token for the process; runs in a thread."""

    def __call__(self, adapter: "JSONAdapter") -> Grant:
        """Log in; the adapter carries no token."""


@dataclass(frozen=True, slots=True)
class AppRoleLogin:
    """Role id and secret id in two files, which are read at every login: a rotated one is picked up.

    Attributes
    ----------
    role_id_file, secret_id_file
        Files of the Secret `vault-<function>`.
    """

    role_id_file: Path
    secret_id_file: Path

    def __call__(self, adapter: "JSONAdapter") -> Grant:
        """Log in."""
        from hvac.api.auth_methods import AppRole  # noqa: PLC0415 - in the request's thread

        answer = AppRole(adapter).login(
            role_id=_text(self.role_id_file),
            secret_id=_text(self.secret_id_file),
            use_token=False,
        )
        return grant_of(answer)


@dataclass(frozen=True, slots=True)
class KubernetesLogin:
    """The pod's service account.

    Attributes
    ----------
    role
        Of the auth method: the function's name.
    token_file
        The service account's token, read at every login: the kubelet renews it.
    """

    role: str
    token_file: Path = SERVICE_ACCOUNT_TOKEN
    mount: str = "kubernetes"

    def __call__(self, adapter: "JSONAdapter") -> Grant:
        """Log in."""
        from hvac.api.auth_methods import Kubernetes  # noqa: PLC0415 - in the request's thread

        answer = Kubernetes(adapter).login(
            role=self.role,
            jwt=_text(self.token_file),
            use_token=False,
            mount_point=self.mount,
        )
        return grant_of(answer)


@dataclass(frozen=True, slots=True)
class GivenToken:
    """A token somebody else made: the administrator's, for the bootstrap."""

    token: str = field(repr=False)

    def __call__(self, _: "JSONAdapter") -> Grant:
        """Return the token."""
        return Grant(self.token, lifetime_seconds=float("inf"))


def grant_of(answer: Any) -> Grant:
    """Read the `auth` part of an answer."""
    auth = answer["auth"]
    lifetime = int(auth["lease_duration"])
    return Grant(
        str(auth["client_token"]),
        lifetime_seconds=lifetime if lifetime > 0 else float("inf"),
        renewable=bool(auth["renewable"]),
    )


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise VaultDenied(f"no login to Vault without {file.name}: {error.strerror}") from error
