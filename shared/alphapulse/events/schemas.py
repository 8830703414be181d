"""JSON Schemas of event data: `schemas/<noun.verb>.json`, compiled on first use."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any


class InvalidEventData(ValueError):
    """Event data do not fit the schema of their type."""


class UnknownEventType(LookupError):
    """There is no schema for this type, so the product neither sends nor reads it."""


def validate(name: str, data: Mapping[str, Any]) -> None:
    """Check the data of event `noun.verb`.

    Raises
    ------
    InvalidEventData
        The message names the place and the rule.
    UnknownEventType
        The type is not in the catalogue.
    """
    _validator(name)(data)


def names() -> list[str]:
    """Return the event names of the catalogue, sorted."""
    folder = resources.files("alphapulse.events") / "schemas"
    return sorted(
        entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")
    )


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of an event's data.

    Raises
    ------
    UnknownEventType
        The type is not in the catalogue.
    """
    path = resources.files("alphapulse.events") / "schemas" / f"{name}.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UnknownEventType(name) from error
    return document


@cache
def _validator(name: str) -> Callable[[Mapping[str, Any]], None]:
    import fastjsonschema  # noqa: PLC0415 - paid by the first event, not at start

    check = fastjsonschema.compile(schema(name))

    def run(data: Mapping[str, Any]) -> None:
        try:
            check(dict(data))
        except fastjsonschema.JsonSchemaValueException as error:
            raise InvalidEventData(f"{name}: {error.message}") from error

    return run
