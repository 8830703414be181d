"""Read Stripe's form encoding, and take parameters one by one so that none goes unnoticed."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from alphapulse_local.embedded.stripe_simulator.errors import Refusal

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_DEEPEST = 8
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_METADATA_KEYS, _METADATA_KEY, _METADATA_VALUE = 50, 40, 500


def decode(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return `a[b][0][c]=d` as `{"a": {"b": [{"c": "d"}]}}`."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        match = _KEY.fullmatch(name)
        if match is None:
            raise Refusal(f"Invalid parameter name: {name}", param=name)
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        if len(path) > _DEEPEST:
            raise Refusal(f"Parameter nested too deeply: {match[1]}", param=match[1])
        _place(found, path, value, name)
    return {key: _listed(value) for key, value in found.items()}


class Parameters:
    """The parameters of one request; `done` refuses those nobody took.

    Parameters
    ----------
    values
        As `decode` returns them.
    path
        Name of what they are nested in, for error messages.
    """

    def __init__(self, values: dict[str, Any], *, path: str = "") -> None:
        self._values = dict(values)
        self._path = path

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def done(self) -> None:
        """Refuse what is left: unknown to Stripe, or to the simulation."""
        for name in self._values:
            raise Refusal(
                f"Received unknown parameter: {self.name(name)} (this is a simulation; Stripe may know it)",
                code="parameter_unknown",
                param=self.name(name),
            )

    def name(self, name: str) -> str:
        """Return how a parameter is called from outside."""
        return f"{self._path}[{name}]" if self._path else name

    def text(self, name: str, *, most: int = 5000) -> str | None:
        """Take a text; None when absent, empty when it is to be unset."""
        value = self._values.pop(name, None)
        if value is not None and not isinstance(value, str):
            raise Refusal(f"Invalid string: {self.name(name)}", param=self.name(name))
        if value is not None and len(value) > most:
            raise Refusal(
                f"Invalid string: {self.name(name)}; must be at most {most} characters", param=self.name(name)
            )
        return value

    def needed(self, name: str) -> str:
        """Take a text that must be there."""
        value = self.text(name)
        if not value:
            raise Refusal(
                f"Missing required param: {self.name(name)}.", code="parameter_missing", param=self.name(name)
            )
        return value

    def one_of(self, name: str, *choices: str) -> str | None:
        """Take one of several words."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise Refusal(
                f"Invalid {self.name(name)}: must be one of {', '.join(choices)}", param=self.name(name)
            )
        return value

    def integer(self, name: str, *, least: int = 0, most: int = 2**53) -> int | None:
        """Take a whole number."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,16}", value) or not least <= int(value) <= most:
            raise Refusal(
                f"Invalid integer: {value}", code="parameter_invalid_integer", param=self.name(name)
            )
        return int(value)

    def flag(self, name: str) -> bool | None:
        """Take `true` or `false`."""
        value = self.one_of(name, "true", "false")
        return None if value is None else value == "true"

    def email(self, name: str) -> str | None:
        """Take an address."""
        value = self.text(name, most=512)
        if value and not _EMAIL.fullmatch(value):
            raise Refusal(f"Invalid email address: {value}", code="email_invalid", param=self.name(name))
        return value

    def inner(self, name: str) -> "Parameters | None":
        """Take parameters nested in one."""
        value = self._values.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise Refusal(f"Invalid object: {self.name(name)}", param=self.name(name))
        return Parameters(value, path=self.name(name))

    def every(self, name: str) -> list["Parameters"]:
        """Take a list of nested parameters."""
        value = self._values.pop(name, None)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise Refusal(f"Invalid array: {self.name(name)}", param=self.name(name))
        return [Parameters(item, path=f"{self.name(name)}[{n}]") for n, item in enumerate(value)]

    def metadata(self, present: dict[str, str] | None = None) -> dict[str, str]:
        """Take metadata, merged into those present; an empty value takes a key away."""
        merged = dict(present or {})
        value = self._values.pop("metadata", None)
        if value == "":
            return {}
        if value is not None and not isinstance(value, dict):
            raise Refusal("Invalid object: metadata", param="metadata")
        for key, text in (value or {}).items():
            if not isinstance(text, str) or len(key) > _METADATA_KEY or len(text) > _METADATA_VALUE:
                raise Refusal(f"Invalid metadata: {key}", param=f"metadata[{key}]")
            merged.pop(key, None)
            merged.update({key: text} if text else {})
        if len(merged) > _METADATA_KEYS:
            raise Refusal(f"Metadata can have up to {_METADATA_KEYS} keys", param="metadata")
        return merged


def _place(found: dict[str, Any], path: list[str], value: str, name: str) -> None:
    for part, following in zip(path, _ends_with_none(path[1:]), strict=True):
        key = part or str(len(found))  # `a[]=x` appends
        if following is None:
            found[key] = value
            return
        inner = found.setdefault(key, {})
        if not isinstance(inner, dict):
            raise Refusal(f"Invalid parameter: {name}", param=name)
        found = inner


def _ends_with_none(parts: list[str]) -> Iterator[str | None]:
    yield from parts
    yield None


def _listed(value: Any) -> Any:
    """Turn `{"0": x, "1": y}` into `[x, y]`, at every depth."""
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(item) for key, item in value.items()}
    if inner and all(key.isdecimal() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner
