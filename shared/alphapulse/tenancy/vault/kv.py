"""Requests to the KV version 2 engine at `secret/`, for `VaultTransport` to run in a thread."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from alphapulse.tenancy.vault.paths import MOUNT
from alphapulse.tenancy.vault.secret import SecretVersions, VaultSecret

if TYPE_CHECKING:
    from hvac.adapters import JSONAdapter


def read(adapter: "JSONAdapter", *, path: str, version: int | None) -> VaultSecret | None:
    """Return a version, or None when there is none, or it was deleted or destroyed."""
    from hvac.exceptions import InvalidPath  # noqa: PLC0415 - in the request's thread

    try:
        answer = _engine(adapter).read_secret_version(
            path, version=version, mount_point=MOUNT, raise_on_deleted_version=True
        )
    except InvalidPath:
        return None
    document = answer["data"]
    return VaultSecret(data=dict(document["data"]), version=int(document["metadata"]["version"]))


def write(adapter: "JSONAdapter", *, path: str, data: dict[str, str], cas: int | None) -> int:
    """Store a version and return its number."""
    answer = _engine(adapter).create_or_update_secret(path, secret=data, cas=cas, mount_point=MOUNT)
    return int(answer["data"]["version"])


def versions(adapter: "JSONAdapter", *, path: str) -> SecretVersions:
    """Return which versions there are."""
    from hvac.exceptions import InvalidPath  # noqa: PLC0415 - in the request's thread

    try:
        answer = _engine(adapter).read_secret_metadata(path, mount_point=MOUNT)
    except InvalidPath:
        return SecretVersions(newest=0, kept=())
    found = answer["data"]
    kept = [int(number) for number, version in found["versions"].items() if not version["destroyed"]]
    return SecretVersions(newest=int(found["current_version"]), kept=tuple(sorted(kept)))


def destroy(adapter: "JSONAdapter", *, path: str, versions: Sequence[int]) -> None:
    """Remove the data of some versions for good."""
    _engine(adapter).destroy_secret_versions(path, versions=list(versions), mount_point=MOUNT)


def remove(adapter: "JSONAdapter", *, path: str) -> None:
    """Remove all versions and the metadata."""
    _engine(adapter).delete_metadata_and_all_versions(path, mount_point=MOUNT)


def names(adapter: "JSONAdapter", *, path: str) -> list[str]:
    """Return the names directly below a path, sorted."""
    from hvac.exceptions import InvalidPath  # noqa: PLC0415 - in the request's thread

    try:
        answer = _engine(adapter).list_secrets(path, mount_point=MOUNT)
    except InvalidPath:
        return []
    return sorted(answer["data"]["keys"])


def paths_below(adapter: "JSONAdapter", *, path: str) -> Iterator[str]:
    """Yield the path of every secret below a path, at any depth."""
    for name in names(adapter, path=path):
        below = f"{path}/{name}"
        if name.endswith("/"):
            yield from paths_below(adapter, path=below.removesuffix("/"))
        else:
            yield below


def _engine(adapter: "JSONAdapter") -> Any:
    from hvac.api.secrets_engines import KvV2  # noqa: PLC0415 - in the request's thread

    return KvV2(adapter)
