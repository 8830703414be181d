"""What `knative/platform/vault/` says Vault should hold, as a list of things with a path each.

mounts/<path>.json          secrets engines
auth/<path>.json            auth methods
policies/<name>.hcl         policies
token-roles/<name>.json     roles that tokens are minted through
secrets/<path>.json         settings of single secrets: versions kept, check-and-set
functions.json              each function's policies, and what their AppRoles and Kubernetes roles share
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alphapulse.tenancy.vault.paths import MOUNT

APPROLE, KUBERNETES = "approle", "kubernetes"


class InvalidConfiguration(ValueError):
    """A file is missing or is not what it should be."""


@dataclass(frozen=True)
class Cluster:
    """The Kubernetes whose service accounts log in.

    Attributes
    ----------
    host
        Address of its API server, which judges their tokens.
    ca_certificate
        PEM of the API server's authority, for a Vault outside the cluster; one inside has it already,
        and a service account of its own to ask with.
    """

    host: str
    ca_certificate: str = ""


@dataclass(frozen=True)
class Entry:
    """One thing Vault should hold.

    Attributes
    ----------
    what
        For people: `policy function`.
    path
        In the API, without `/v1/`.
    desired
        The body to send; Vault may hold more.
    made_once
        A mount is created and not written again; what differs is told.
    """

    what: str
    path: str
    desired: dict[str, Any]
    made_once: bool = False


def functions(files: Path) -> dict[str, list[str]]:
    """Return the policies of every function that logs in to Vault."""
    policies: dict[str, list[str]] = _read(files / "functions.json")["policies"]
    return policies


def entries(files: Path, *, methods: Sequence[str], cluster: Cluster | None = None) -> list[Entry]:
    """Return everything, in an order in which it can be applied.

    Parameters
    ----------
    methods
        Auth methods to set up: `approle`, `kubernetes`.
    cluster
        Needed with `kubernetes`.

    Raises
    ------
    InvalidConfiguration
        A file is missing or is not what it should be.
    """
    if not files.is_dir():
        raise InvalidConfiguration(f"{files} is not a directory")
    return [
        *_documents(files / "mounts", "secrets engine", "sys/mounts", made_once=True),
        *(
            Entry(
                f"auth method {name}", f"sys/auth/{name}", _read(files / f"auth/{name}.json"), made_once=True
            )
            for name in methods
        ),
        *_policies(files / "policies"),
        *_documents(files / "token-roles", "token role", "auth/token/roles"),
        *_roles(files, methods, cluster),
        *_documents(files / "secrets", "settings of secret", f"{MOUNT}/metadata"),
    ]


def _documents(folder: Path, what: str, path: str, *, made_once: bool = False) -> Iterator[Entry]:
    for file in sorted(folder.glob("**/*.json")):
        name = file.relative_to(folder).with_suffix("").as_posix()
        yield Entry(f"{what} {name}", f"{path}/{name}", _read(file), made_once=made_once)


def _policies(folder: Path) -> Iterator[Entry]:
    for file in sorted(folder.glob("*.hcl")):
        text = file.read_text("utf-8")
        yield Entry(f"policy {file.stem}", f"sys/policies/acl/{file.stem}", {"policy": text})


def _roles(files: Path, methods: Sequence[str], cluster: Cluster | None) -> Iterator[Entry]:
    shared = _read(files / "functions.json")
    if KUBERNETES in methods:
        if cluster is None:
            raise InvalidConfiguration("the auth method kubernetes needs the API server's address")
        config = {
            "kubernetes_host": cluster.host,
            "kubernetes_ca_cert": cluster.ca_certificate,
            "disable_local_ca_jwt": bool(cluster.ca_certificate),
        }
        yield Entry("settings of auth method kubernetes", "auth/kubernetes/config", config)
    for name, policies in sorted(functions(files).items()):
        if APPROLE in methods:
            body = {**shared[APPROLE], "token_policies": sorted(policies)}
            yield Entry(f"AppRole {name}", f"auth/approle/role/{name}", body)
        if KUBERNETES in methods:
            body = {
                **shared[KUBERNETES],
                "bound_service_account_names": [name],
                "token_policies": sorted(policies),
            }
            yield Entry(f"Kubernetes role {name}", f"auth/kubernetes/role/{name}", body)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise InvalidConfiguration(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidConfiguration(f"{file} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidConfiguration(f"{file} must be an object")
    return document
