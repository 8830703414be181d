"""Checklist point 14: one tenant's burst leaves turns for the others."""

from alphapulse_broker.cloudevents import Event
from alphapulse_broker.entries import Entry
from alphapulse_broker.fair_queue import FairQueue


def entry(number: int, tenant: str = "") -> Entry:
    attributes = {"id": str(number), "source": "/s", "type": "t"}
    if tenant:
        attributes["tenantid"] = tenant
    return Entry(str(number).encode(), Event(attributes, b"", {}))


def taken(queue: FairQueue, count: int) -> list[int | None]:
    entries = [queue.pop() for _ in range(count)]
    return [int(found.id) if found is not None else None for found in entries]


def test_14_tenants_take_turns_and_each_keeps_its_order() -> None:
    queue = FairQueue(tenant_limit=10)
    for number, tenant in enumerate(["a", "a", "a", "b", "b", "c"]):
        queue.push(entry(number, tenant))

    assert taken(queue, 7) == [0, 3, 5, 1, 4, 2, None]


def test_14_tenant_at_its_bound_waits_while_others_go_on() -> None:
    queue = FairQueue(tenant_limit=1)
    entries = [entry(0, "a"), entry(1, "a"), entry(2, "b")]
    for found in entries:
        queue.push(found)

    assert taken(queue, 3) == [0, 2, None]
    queue.done(entries[0])
    assert taken(queue, 2) == [1, None]


def test_14_events_without_a_tenant_are_not_bounded() -> None:
    queue = FairQueue(tenant_limit=1)
    for number in range(3):
        queue.push(entry(number))

    assert taken(queue, 4) == [0, 1, 2, None]


def test_clear_returns_what_was_waiting() -> None:
    queue = FairQueue(tenant_limit=1)
    for number in range(3):
        queue.push(entry(number, "a"))
    queue.pop()

    assert [found.id for found in queue.clear()] == [b"1", b"2"]
    assert queue.pop() is None
