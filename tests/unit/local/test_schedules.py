import datetime as dt

from alphapulse_local.manifests import Schedule
from alphapulse_local.schedules import event_headers, next_due


def schedule(cron: str = "* * * * *", timezone: str = "UTC") -> Schedule:
    return Schedule(
        name="sweep",
        namespace="alphapulse",
        cron=cron,
        timezone=timezone,
        data="{}",
        content_type="application/json",
        extensions={"schedule": "outbox-sweep"},
    )


def test_every_minute_is_due_at_the_next_full_minute() -> None:
    after = dt.datetime(2026, 1, 1, 12, 0, 30, tzinfo=dt.UTC)

    assert next_due(schedule(), after=after) == dt.datetime(2026, 1, 1, 12, 1, tzinfo=dt.UTC)


def test_schedule_follows_its_time_zone() -> None:
    after = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)

    due = next_due(schedule("0 9 * * *", "Europe/Berlin"), after=after)

    assert due.astimezone(dt.UTC) == dt.datetime(2026, 7, 2, 7, 0, tzinfo=dt.UTC)


def test_tick_is_the_event_knatives_ping_source_sends() -> None:
    headers = event_headers(schedule(), dt.datetime(2026, 1, 1, tzinfo=dt.UTC))

    identifier = headers.pop("ce-id")
    assert len(identifier) == 36
    assert headers == {
        "ce-specversion": "1.0",
        "ce-type": "dev.knative.sources.ping",
        "ce-source": "/apis/v1/namespaces/alphapulse/pingsources/sweep",
        "ce-time": "2026-01-01T00:00:00Z",
        "content-type": "application/json",
        "ce-schedule": "outbox-sweep",
    }
