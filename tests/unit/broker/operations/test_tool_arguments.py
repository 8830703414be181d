import argparse
from datetime import UTC, datetime, timedelta

import pytest

from alphapulse_broker.tool.arguments import COMMANDS, add_commands, parse_length, parse_moment
from alphapulse_broker.tool.output import as_age, as_bytes, as_table


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="alphapulse_broker")
    add_commands(made.add_subparsers(dest="command", required=True))
    return made


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_shows_examples_and_exit_statuses(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args([command, "--help"])

    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "python -m alphapulse_broker" in text
    assert "exit status:" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("1w", timedelta(weeks=1)),
        ("PT1H30M", timedelta(minutes=90)),
    ],
)
def test_length_is_read_in_short_and_in_iso_8601(text: str, expected: timedelta) -> None:
    assert parse_length(text) == expected


def test_moment_is_a_time_with_its_zone_or_reaches_back_from_now() -> None:
    assert parse_moment("2026-01-31T08:00:00+01:00") == datetime(2026, 1, 31, 7, tzinfo=UTC)
    assert abs(datetime.now(UTC) - timedelta(hours=2) - parse_moment("2h")) < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["2026-01-31T08:00:00", "yesterday", "5", "-1h"])
def test_moment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        parse_moment(text)


def test_table_aligns_numbers_right_and_lets_no_control_character_through() -> None:
    table = as_table([{"name": "a\x1b[2Jb", "count": 5}, {"name": None, "count": 12345}])

    assert table == "name    count\na?[2Jb      5\n-       12345"


def test_table_without_rows_says_none() -> None:
    assert as_table([]) == "none"


@pytest.mark.parametrize(
    ("size", "text"),
    [(512, "512 B"), (2048, "2.0 KiB"), (5 * 1024**3, "5.0 GiB"), (3 * 1024**5, "3072.0 TiB")],
)
def test_bytes_are_shown_in_a_unit_that_people_read(size: int, text: str) -> None:
    assert as_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.26, "0.3s"), (42.0, "42s"), (90, "1.5m"), (7200, "2.0h"), (129_600, "1.5d")]
)
def test_ages_are_shown_in_a_unit_that_people_read(seconds: float, text: str) -> None:
    assert as_age(seconds) == text
