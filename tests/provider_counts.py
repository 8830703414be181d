"""Counts what providers do, in the place of metrics."""

from collections import Counter


class Counts:
    """An observer of providers.

    Attributes
    ----------
    fetches
        By source, dataset and outcome.
    reads
        By dataset and outcome.
    """

    def __init__(self) -> None:
        self.fetches: Counter[tuple[str, str, str]] = Counter()
        self.reads: Counter[tuple[str, str]] = Counter()

    def fetched(self, source: str, dataset: str, outcome: str) -> None:
        """Count a question to a source."""
        self.fetches[source, dataset, outcome] += 1

    def read(self, dataset: str, outcome: str) -> None:
        """Count a read."""
        self.reads[dataset, outcome] += 1
