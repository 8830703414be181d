"""Removes parked entries for good, after they were written elsewhere if that is wanted."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from alphapulse_broker.event_log import EventLog
from alphapulse_broker.operations.dead_letters import DeadLetter, ParkedEvent, Selection, each, full

_BATCH = 100


@dataclass
class TrimResult:
    """What was removed, or would be, by trigger; `exported` counts events handed to `keep`."""

    dry_run: bool
    removed: Counter[str] = field(default_factory=Counter)
    exported: int = 0

    @property
    def total(self) -> int:
        """Entries removed, of all triggers."""
        return self.removed.total()


async def trim(
    log: EventLog,
    selection: Selection,
    *,
    confirmed: bool = False,
    keep: Callable[[Sequence[ParkedEvent]], None] | None = None,
    progress: Callable[[TrimResult], None] = lambda _: None,
) -> TrimResult:
    """Remove the selected parked entries.

    Parameters
    ----------
    confirmed
        Without it nothing is removed; the result says what would be.
    keep
        Given the entries before they are removed; when it raises, they stay.
    """
    result = TrimResult(dry_run=not confirmed)
    batch: list[DeadLetter] = []
    async for entry in each(log, selection):
        if batch and (len(batch) == _BATCH or batch[0].trigger != entry.trigger):
            await _remove(log, batch, result, keep)
            progress(result)
            batch = []
        batch.append(entry)
    if batch:
        await _remove(log, batch, result, keep)
        progress(result)
    return result


async def _remove(
    log: EventLog,
    batch: list[DeadLetter],
    result: TrimResult,
    keep: Callable[[Sequence[ParkedEvent]], None] | None,
) -> None:
    trigger, ids = batch[0].trigger, [entry.id for entry in batch]
    if result.dry_run:
        result.removed[trigger] += len(ids)
        return
    if keep is not None:
        events = await full(log, trigger, ids)
        keep(events)
        result.exported += len(events)
        # Only what was kept: an entry that appeared meanwhile under none of these ids cannot be lost.
        ids = [event.entry.id for event in events]
    if ids:
        result.removed[trigger] += await log.command("XDEL", log.keys.parked(trigger), *ids)
