"""How much of a source the whole platform uses, and the pauses a source asks for."""

import asyncio
import math
from typing import Final

from alphapulse.providers.errors import SourceBusy
from alphapulse.tenancy.cache import CacheConnection
from alphapulse.tenancy.pacing import Pace, Pacing, Turn

__all__ = ["Pace", "SourceBudget"]

#: A request whose turn would come later than this is not sent.
PATIENCE_SECONDS: Final = 12.0


class SourceBudget:
    """The budget of one source, counted in Redis for all processes together.

    Parameters
    ----------
    connection
        The cache Redis; while it is away each process counts for itself.
    source
        Name of the source.
    pace
        What it allows.
    patience_seconds
        The longest a request waits for its turn.
    """

    def __init__(
        self,
        connection: CacheConnection,
        source: str,
        *,
        pace: Pace,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._source = source
        self._pacing = Pacing(connection, source, pace)
        self._patience_seconds = patience_seconds

    async def take(self) -> None:
        """Wait for the turn of a request, and take it.

        Raises
        ------
        SourceBusy
            The turn would come too late, or the source is paused.
        """
        turn = await self._pacing.take(patience_seconds=self._patience_seconds)
        self._require(turn)
        if turn.wait_seconds:
            await asyncio.sleep(turn.wait_seconds)
            # The source may have asked for a pause since.
            self._require(await self._pacing.look())

    async def pause(self, seconds: float) -> None:
        """Keep the whole platform away from the source for a time, because it asked for that."""
        await self._pacing.pause(seconds)

    def _require(self, turn: Turn) -> None:
        if turn.granted:
            return
        wait = math.ceil(turn.wait_seconds)
        raise SourceBusy(
            f"{self._source} takes no more requests for {wait} s", retry_after_seconds=turn.wait_seconds
        )
