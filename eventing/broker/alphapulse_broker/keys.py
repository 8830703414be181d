"""Names of the broker's keys in Redis."""

import hashlib
from dataclasses import dataclass

GROUP = "d"


@dataclass(frozen=True, slots=True)
class Keys:
    """Builds key names for one broker.

    All keys share the hash tag `{<namespace>/<broker>.<shard>}`, so that in a Redis Cluster every
    script finds its keys in one slot.
    """

    namespace: str
    broker: str
    shard: int = 0

    @property
    def prefix(self) -> str:
        """Common start of every key."""
        return f"redisbroker:{{{self.namespace}/{self.broker}.{self.shard}}}"

    @property
    def table(self) -> str:
        """Hash with the trigger table and its revision."""
        return f"{self.prefix}:table"

    @property
    def names(self) -> str:
        """Set of the triggers that have, or may have, keys of their own."""
        return f"{self.prefix}:names"

    def stream(self, trigger: str) -> str:
        """Entries waiting for, or in, delivery."""
        return f"{self.prefix}:stream:{trigger}"

    def delayed(self, trigger: str) -> str:
        """Sorted set of entries waiting for a retry, by due time."""
        return f"{self.prefix}:delayed:{trigger}"

    def bodies(self, trigger: str) -> str:
        """Hash with the content of delayed entries."""
        return f"{self.prefix}:bodies:{trigger}"

    def parked(self, trigger: str) -> str:
        """Stream of entries that no sink accepted."""
        return f"{self.prefix}:parked:{trigger}"

    @property
    def processes(self) -> str:
        """Sorted set of the broker's processes, by their last sign of life."""
        return f"{self.prefix}:processes"

    @property
    def process_facts(self) -> str:
        """Hash with what each process says of itself."""
        return f"{self.prefix}:process-facts"

    def dedupe(self, source: str, event_id: str) -> str:
        """Mark of an event seen within the dedupe window."""
        digest = hashlib.blake2b(f"{source}\0{event_id}".encode(), digest_size=16).hexdigest()
        return f"{self.prefix}:seen:{digest}"
