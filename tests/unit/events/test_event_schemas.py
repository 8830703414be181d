import jsonschema
import pytest

from alphapulse.events import event_type, schemas

RUN = "0197c9d2-0000-7000-8000-000000000001"
REQUESTED = {
    "run_id": RUN,
    "agent": "technical",
    "symbol": "BTC-USDT",
    "interval": "1d",
    "requested_at": "2026-01-02T03:04:05Z",
    "deadline_at": "2026-01-02T03:09:05Z",
}


@pytest.mark.parametrize("name", schemas.names())
def test_every_schema_is_valid_and_its_name_is_an_event_type(name: str) -> None:
    document = schemas.schema(name)

    jsonschema.Draft7Validator.check_schema(document)
    assert name == document["title"]
    assert f"com.alphapulse.{name}.v1" == event_type(name)


def test_fitting_data_pass() -> None:
    schemas.validate("signal.requested", REQUESTED)


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "btc"},
        {"agent": "astrologer"},
        {"interval": "2d"},
        {"run_id": "1"},
        {"requested_at": "yesterday"},
    ],
)
def test_data_outside_the_schema_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(schemas.InvalidEventData, match=next(iter(change))):
        schemas.validate("signal.requested", REQUESTED | change)


def test_missing_member_is_refused() -> None:
    with pytest.raises(schemas.InvalidEventData, match="run_id"):
        schemas.validate("signal.requested", {k: v for k, v in REQUESTED.items() if k != "run_id"})


def test_unknown_type_is_refused() -> None:
    with pytest.raises(schemas.UnknownEventType):
        schemas.validate("weather.changed", {})


def test_name_that_leaves_the_folder_is_refused() -> None:
    with pytest.raises(schemas.UnknownEventType):
        schemas.validate("../settings", {})
