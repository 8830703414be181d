"""The crash matrix' judge: it must see what went wrong before its silence means anything."""

from collections.abc import Sequence

from tests.bench.broker_verdict import NANOSECONDS, SENDER, UNEXPLAINED, Delivery, Kill, Verdict, judge

EXPECTED = {"work": {"a", "b"}, "told": {"reply-to-a"}}
SECOND = NANOSECONDS


def verdict_of(
    *deliveries: tuple[str, str, int],
    kills: Sequence[Kill] = (),
    repeated: Sequence[str] = (),
    last_accepted: int = 0,
) -> Verdict:
    found = [Delivery(trigger, event_id, at) for trigger, event_id, at in deliveries]
    return judge(EXPECTED, found, kills=kills, repeated=set(repeated), accepted={"a": 0, "b": last_accepted})


ALL = (("work", "a", 1 * SECOND), ("work", "b", 2 * SECOND), ("told", "reply-to-a", 3 * SECOND))


def test_each_event_once_where_it_belongs_is_clean() -> None:
    verdict = verdict_of(*ALL)

    assert verdict.is_clean
    assert verdict.longest_way_seconds == 2


def test_event_that_did_not_come_is_lost() -> None:
    verdict = verdict_of(*ALL[:2])

    assert not verdict.is_clean
    assert verdict.lost == {"work": set(), "told": {"reply-to-a"}}


def test_event_at_a_trigger_that_does_not_want_it_is_wrong() -> None:
    verdict = verdict_of(*ALL, ("told", "b", 4 * SECOND))

    assert not verdict.is_clean
    assert verdict.wrong["told"] == {"b"}


def test_duplicate_without_a_death_nearby_is_unexplained() -> None:
    kill = Kill("dispatcher", 20 * SECOND, 21 * SECOND)
    verdict = verdict_of(*ALL, ("work", "a", 30 * SECOND), kills=[kill])

    assert not verdict.is_clean
    assert verdict.reasons == {UNEXPLAINED: 1}


def test_duplicate_is_explained_by_the_nearest_death_during_the_delivery() -> None:
    kills = [Kill("redis-server", 3 * SECOND, 4 * SECOND), Kill("dispatcher", SECOND + 1000, 2 * SECOND)]
    verdict = verdict_of(*ALL, ("work", "a", 30 * SECOND), kills=kills)

    assert verdict.is_clean
    assert verdict.duplicates == {"work": 1}
    assert verdict.reasons == {"dispatcher": 1}


def test_duplicate_of_what_the_sender_repeated_is_the_senders_and_so_is_its_reply() -> None:
    verdict = verdict_of(
        *ALL, ("work", "a", 30 * SECOND), ("told", "reply-to-a", 31 * SECOND), repeated=["a"]
    )

    assert verdict.reasons == {SENDER: 2}


def test_silence_is_measured_around_each_kill_while_events_are_accepted() -> None:
    kill = Kill("redis-server", 2 * SECOND + 1, 2 * SECOND + 2)
    under_load = verdict_of(*ALL, kills=[kill], last_accepted=5 * SECOND)
    at_its_end = verdict_of(*ALL, kills=[kill], last_accepted=5 * SECOND // 2)

    assert under_load.longest_gap_seconds == {"redis-server": 1.0}
    assert at_its_end.longest_gap_seconds == {"redis-server": 0.5}


def test_resuming_is_measured_from_the_return_unless_another_kill_comes_first() -> None:
    kills = [
        Kill("redis-server", SECOND * 5 // 4, SECOND * 3 // 2),
        Kill("dispatcher", SECOND // 4, SECOND // 2),
        Kill("ingress", 2 * SECOND + 2, 2 * SECOND + 3),
        Kill("subscriber", 2 * SECOND + 4, 2 * SECOND + 5),
    ]
    verdict = verdict_of(*ALL, kills=kills)

    assert kills[0].down_seconds == 0.25
    assert verdict.longest_resume_seconds == {
        "redis-server": 0.5,
        "subscriber": (SECOND - 5) / NANOSECONDS,
        "dispatcher": 0.5,
    }
