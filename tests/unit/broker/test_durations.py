from datetime import timedelta

import pytest

from alphapulse_broker.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT0S", timedelta(0)),
        ("PT0.2S", timedelta(milliseconds=200)),
        ("PT1,5S", timedelta(seconds=1.5)),
        ("PT5M", timedelta(minutes=5)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("P2W", timedelta(weeks=2)),
    ],
)
def test_iso_8601_duration_is_read(text: str, expected: timedelta) -> None:
    assert expected == parse_duration(text)


@pytest.mark.parametrize("text", ["", "P", "PT", "5s", "P1Y", "P1M", "PT1", "-PT1S", "PT1.5M", "PT1S "])
def test_text_that_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_duration(text)
