"""A request after its HTTP has been read, and how its values are understood."""

import re
from dataclasses import dataclass, field
from typing import Any

from alphapulse_local.embedded.secret_store.errors import Refused

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Request:
    """What somebody wants.

    Attributes
    ----------
    operation
        `read`, `list`, `write` or `delete`.
    path
        Without `/v1/`.
    body
        The JSON object sent along.
    query
        Of the URL.
    token
        As sent.
    """

    operation: str
    path: str
    body: dict[str, Any] = field(default_factory=dict, repr=False)
    query: dict[str, str] = field(default_factory=dict)
    token: str = field(default="", repr=False)

    def text(self, name: str, default: str = "") -> str:
        """Return a text of the body."""
        value = self.body.get(name, default)
        if not isinstance(value, str):
            raise Refused(400, f"field {name} must be a string")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a truth value of the body."""
        value = self.body.get(name, default)
        if value in ("true", "false"):
            return bool(value == "true")
        if not isinstance(value, bool):
            raise Refused(400, f"field {name} must be a boolean")
        return value

    def number(self, name: str, default: int = 0) -> int:
        """Return an integer of the body."""
        try:
            return int(self.body.get(name, default))
        except (TypeError, ValueError) as error:
            raise Refused(400, f"field {name} must be an integer") from error

    def seconds(self, name: str, default: float = 0) -> float:
        """Return a duration of the body: a number of seconds, or text such as `20m`."""
        value = self.body.get(name, default)
        match = _DURATION.fullmatch(str(value or 0))
        if match is None:
            raise Refused(400, f"field {name} must be a duration")
        return int(match[1]) * _SECONDS[match[2]]

    def names(self, name: str, default: list[str] | None = None) -> list[str]:
        """Return a list of texts of the body; text is split at its commas."""
        value = self.body.get(name, default or [])
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise Refused(400, f"field {name} must be a list of strings")
        return value
