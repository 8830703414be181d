"""The KV engine, version 2: every write is a version, deleted softly, destroyed for good."""

import datetime as dt
from typing import Any

from alphapulse_local.embedded.secret_store.answers import Answer
from alphapulse_local.embedded.secret_store.errors import Refused, nothing_there, unsupported
from alphapulse_local.embedded.secret_store.request import Request
from alphapulse_local.embedded.secret_store.storage import Storage

_SECRET, _CONFIG = "kv", "kv-config"
_DEFAULT_VERSIONS = 10


class KvApi:
    """Answers below one mount of the engine."""

    def __init__(self, storage: Storage, *, mount: str) -> None:
        self._storage = storage
        self._mount = mount

    def answer(self, request: Request, rest: str) -> Answer:
        """Answer a request that the policies allow."""
        if rest == "config":
            return self._config_of_engine(request)
        section, _, path = rest.partition("/")
        handler = {
            ("data", "read"): self._read,
            ("data", "write"): self._write,
            ("data", "delete"): self._delete_newest,
            ("delete", "write"): self._delete,
            ("undelete", "write"): self._undelete,
            ("destroy", "write"): self._destroy,
            ("metadata", "read"): self._metadata,
            ("metadata", "write"): self._configure,
            ("metadata", "list"): self._list,
            ("metadata", "delete"): self._remove,
        }.get((section, request.operation))
        if not path and request.operation != "list":
            raise Refused(404, "1 error occurred:\n\t* unsupported path\n\n")
        if handler is None:
            raise Refused(405, "1 error occurred:\n\t* unsupported operation\n\n")
        return handler(request, path)

    def exists(self, rest: str) -> bool:
        """Say whether a write to `data/` or `metadata/` changes something rather than creates it."""
        section, _, path = rest.partition("/")
        return section not in ("data", "metadata") or not path or self._find(path) is not None

    def _read(self, request: Request, path: str) -> Answer:
        secret = self._found(path)
        number = request.query.get("version") or "0"
        if not number.isdigit():
            raise Refused(400, "version must be a number")
        number = number if int(number) else str(secret["current_version"])
        version = secret["versions"].get(number)
        if version is None:
            raise nothing_there()
        metadata = _metadata_of(version, int(number), secret["custom_metadata"])
        if version["deletion_time"] or version["destroyed"]:
            raise Refused(404, data={"data": None, "metadata": metadata})
        return Answer(data={"data": version["data"], "metadata": metadata})

    def _write(self, request: Request, path: str) -> Answer:
        data = request.body.get("data")
        if not isinstance(data, dict):
            raise Refused(400, "no data provided")
        secret = self._find(path) or _new_secret()
        self._check_cas(request, secret)
        number = secret["current_version"] + 1
        secret["current_version"] = number
        secret["updated_time"] = _now()
        secret["versions"][str(number)] = {
            "created_time": secret["updated_time"],
            "deletion_time": "",
            "destroyed": False,
            "data": data,
        }
        self._drop_oldest(secret)
        self._keep(path, secret)
        return Answer(data=_metadata_of(secret["versions"][str(number)], number, secret["custom_metadata"]))

    def _check_cas(self, request: Request, secret: dict[str, Any]) -> None:
        options = request.body.get("options") or {}
        if "cas" not in options:
            if secret["cas_required"] or self._engine()["cas_required"]:
                raise Refused(400, "check-and-set parameter required for this call")
            return
        try:
            expected = int(options["cas"])
        except (TypeError, ValueError) as error:
            raise Refused(400, "error parsing check-and-set parameter") from error
        if expected != secret["current_version"]:
            raise Refused(400, "check-and-set parameter did not match the current version")

    def _drop_oldest(self, secret: dict[str, Any]) -> None:
        kept = secret["max_versions"] or self._engine()["max_versions"] or _DEFAULT_VERSIONS
        excess = secret["current_version"] - kept
        if excess >= 0:
            secret["versions"] = {
                number: version for number, version in secret["versions"].items() if int(number) > excess
            }
            secret["oldest_version"] = excess + 1

    def _delete_newest(self, _: Request, path: str) -> Answer:
        secret = self._find(path)
        if secret is not None:
            self._mark_deleted(secret, [secret["current_version"]])
            self._keep(path, secret)
        return Answer()

    def _delete(self, request: Request, path: str) -> Answer:
        secret, numbers = self._find(path), _versions(request)
        if secret is not None:
            self._mark_deleted(secret, numbers)
            self._keep(path, secret)
        return Answer()

    def _undelete(self, request: Request, path: str) -> Answer:
        secret, numbers = self._find(path), _versions(request)
        if secret is None:
            return Answer()
        for number in numbers:
            version = secret["versions"].get(str(number))
            if version is not None and not version["destroyed"]:
                version["deletion_time"] = ""
        self._keep(path, secret)
        return Answer()

    def _destroy(self, request: Request, path: str) -> Answer:
        secret, numbers = self._find(path), _versions(request)
        if secret is None:
            return Answer()
        for number in numbers:
            version = secret["versions"].get(str(number))
            if version is not None:
                version.update(destroyed=True, data=None)
        self._keep(path, secret)
        return Answer()

    def _metadata(self, _: Request, path: str) -> Answer:
        secret = self._found(path)
        versions = {
            number: {name: value for name, value in version.items() if name != "data"}
            for number, version in secret["versions"].items()
        }
        return Answer(data=secret | {"versions": versions})

    def _configure(self, request: Request, path: str) -> Answer:
        _refuse_delete_after(request)
        secret = self._find(path) or _new_secret()
        secret["max_versions"] = request.number("max_versions", secret["max_versions"])
        secret["cas_required"] = request.flag("cas_required", default=secret["cas_required"])
        secret["custom_metadata"] = request.body.get("custom_metadata", secret["custom_metadata"])
        # Fewer versions than before are kept from the next write on.
        self._keep(path, secret)
        return Answer()

    def _list(self, _: Request, path: str) -> Answer:
        prefix = self._mount + (f"{path.rstrip('/')}/" if path.strip("/") else "")
        names = set()
        for name in self._storage.names(_SECRET, prefix=prefix):
            first, slash, _rest = name.removeprefix(prefix).partition("/")
            names.add(first + slash)
        if not names:
            raise nothing_there()
        return Answer(data={"keys": sorted(names)})

    def _remove(self, _: Request, path: str) -> Answer:
        self._storage.delete(_SECRET, self._mount + path)
        return Answer()

    def _config_of_engine(self, request: Request) -> Answer:
        engine = self._engine()
        if request.operation == "read":
            return Answer(data=engine)
        if request.operation != "write":
            raise Refused(405, "1 error occurred:\n\t* unsupported operation\n\n")
        _refuse_delete_after(request)
        engine["max_versions"] = request.number("max_versions", engine["max_versions"])
        engine["cas_required"] = request.flag("cas_required", default=engine["cas_required"])
        self._storage.put(_CONFIG, self._mount, engine)
        return Answer()

    def _engine(self) -> dict[str, Any]:
        return self._storage.get(_CONFIG, self._mount) or {
            "max_versions": 0,
            "cas_required": False,
            "delete_version_after": "0s",
        }

    @staticmethod
    def _mark_deleted(secret: dict[str, Any], numbers: list[int]) -> None:
        for number in numbers:
            version = secret["versions"].get(str(number))
            if version is not None and not version["destroyed"]:
                version["deletion_time"] = version["deletion_time"] or _now()

    def _find(self, path: str) -> dict[str, Any] | None:
        return self._storage.get(_SECRET, self._mount + path)

    def _found(self, path: str) -> dict[str, Any]:
        secret = self._find(path)
        if secret is None:
            raise nothing_there()
        return secret

    def _keep(self, path: str, secret: dict[str, Any]) -> None:
        self._storage.put(_SECRET, self._mount + path, secret)


def _new_secret() -> dict[str, Any]:
    now = _now()
    return {
        "cas_required": False,
        "created_time": now,
        "current_version": 0,
        "custom_metadata": None,
        "delete_version_after": "0s",
        "max_versions": 0,
        "oldest_version": 0,
        "updated_time": now,
        "versions": {},
    }


def _metadata_of(version: dict[str, Any], number: int, custom: Any) -> dict[str, Any]:
    return {
        "created_time": version["created_time"],
        "custom_metadata": custom,
        "deletion_time": version["deletion_time"],
        "destroyed": version["destroyed"],
        "version": number,
    }


def _versions(request: Request) -> list[int]:
    numbers = request.body.get("versions")
    if not isinstance(numbers, list) or not numbers or not all(str(number).isdigit() for number in numbers):
        raise Refused(400, "no version number provided")
    return [int(number) for number in numbers]


def _refuse_delete_after(request: Request) -> None:
    if request.seconds("delete_version_after"):
        raise unsupported("delete_version_after")


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
