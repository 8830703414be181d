"""Entries read ahead for one trigger, picked in turn by tenant."""

from collections import Counter, OrderedDict, deque

from alphapulse_broker.entries import Entry


class FairQueue:
    """Gives each tenant its turn and bounds what one tenant has in flight.

    Entries without a tenant take turns like a tenant but are not bounded.
    """

    def __init__(self, *, tenant_limit: int) -> None:
        self._tenant_limit = tenant_limit
        self._waiting: OrderedDict[str, deque[Entry]] = OrderedDict()
        self._in_flight: Counter[str] = Counter()

    def push(self, entry: Entry) -> None:
        """Add an entry behind those of its tenant."""
        self._waiting.setdefault(entry.tenant, deque()).append(entry)

    def pop(self) -> Entry | None:
        """Take the next entry, or None when every waiting tenant is at its bound."""
        for tenant, entries in self._waiting.items():
            if tenant and self._in_flight[tenant] >= self._tenant_limit:
                continue
            entry = entries.popleft()
            if entries:
                self._waiting.move_to_end(tenant)
            else:
                del self._waiting[tenant]
            self._in_flight[tenant] += 1
            return entry
        return None

    def done(self, entry: Entry) -> None:
        """Note that an entry taken before is not in flight any more."""
        self._in_flight[entry.tenant] -= 1
        if self._in_flight[entry.tenant] <= 0:
            del self._in_flight[entry.tenant]

    def clear(self) -> list[Entry]:
        """Empty the queue and return what was waiting."""
        left = [entry for entries in self._waiting.values() for entry in entries]
        self._waiting.clear()
        return left
