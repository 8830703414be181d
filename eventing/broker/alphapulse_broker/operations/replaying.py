"""Puts parked entries back into their triggers' streams."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from alphapulse_broker.errors import UnknownTrigger
from alphapulse_broker.event_log import EventLog, Outcome
from alphapulse_broker.operations.dead_letters import DeadLetter, Selection, each
from alphapulse_broker.operations.names import table_in_force

_BATCH = 100


@dataclass
class ReplayResult:
    """What a replay did, or would do.

    Parameters
    ----------
    replayed
        Entries moved, by trigger; with `dry_run` those that would be.
    gone
        Entries that somebody else replayed or removed meanwhile.
    held_back
        Entries left parked, because their trigger's stream is full or the trigger is no more.
    """

    dry_run: bool = False
    replayed: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    held_back: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Entries moved, of all triggers."""
        return self.replayed.total()


async def replay(
    log: EventLog,
    selection: Selection,
    *,
    dry_run: bool = False,
    progress: Callable[[ReplayResult], None] = lambda _: None,
) -> ReplayResult:
    """Put the selected entries back as fresh events.

    Each entry moves in one atomic step, so that a replay that was cut short, or runs twice at once,
    may simply be run again. Entries that are parked again while it runs are not touched twice.

    Parameters
    ----------
    progress
        Called after each batch.
    """
    result = ReplayResult(dry_run=dry_run)
    table = await table_in_force(log)
    if selection.trigger is not None and selection.trigger not in table.by_name:
        raise UnknownTrigger(f"there is no trigger {selection.trigger} to deliver to")
    batch: list[DeadLetter] = []
    async for entry in each(log, selection):
        if entry.trigger not in table.by_name:
            result.held_back[entry.trigger] += 1
            continue
        batch.append(entry)
        if len(batch) == _BATCH:
            await _move(log, batch, result)
            progress(result)
            batch = []
    if batch:
        await _move(log, batch, result)
        progress(result)
    return result


async def _move(log: EventLog, batch: list[DeadLetter], result: ReplayResult) -> None:
    if result.dry_run:
        result.replayed.update(entry.trigger for entry in batch)
        return
    outcomes = await asyncio.gather(*(log.replay(entry.trigger, entry.id) for entry in batch))
    for entry, outcome in zip(batch, outcomes, strict=True):
        if outcome is Outcome.REPLAYED:
            result.replayed[entry.trigger] += 1
        elif outcome is Outcome.FULL:
            result.held_back[entry.trigger] += 1
        else:
            result.gone += 1
