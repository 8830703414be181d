"""How long the outbox waits, and under which id it keeps an event."""

import datetime as dt
import uuid

import pytest

from alphapulse.data.outbox import backoff, row_id


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 2), (1, 2), (2, 4), (3, 8), (7, 128), (8, 256), (9, 300), (10_000, 300)]
)
def test_the_delay_doubles_up_to_five_minutes(attempts: int, seconds: int) -> None:
    assert backoff(attempts) == dt.timedelta(seconds=seconds)


def test_an_id_that_is_a_uuid_is_kept_and_another_maps_to_one() -> None:
    own = uuid.uuid4()

    assert row_id(str(own)) == own
    assert row_id("evt_1") == row_id("evt_1")
    assert row_id("evt_1") != row_id("evt_2")
