"""What agents read, kept under the digest of its content.

The evidence of a signal is one small document that names its parts, one per dataset, by their digests. Agents
and tenants that read the same share the parts. The moment of the signal is not in it but in the signal. The
times at which on-chain series were retrieved are in the small document, so that years of days are kept once a
day, and not as often as they are asked for.
"""

import datetime as dt
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from alphapulse.agents.documents import field_types, from_json, to_json
from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.domain.agents.evidence import DailySeries, Evidence
from alphapulse.domain.instruments import Interval

#: Of the documents; rises when evidence that was kept before can no longer be read.
FORMAT: Final = 1
# Fields of evidence that are parts of their own; the others are in the document that names these.
_PARTS: Final = ("bars", "on_chain", "supply", "posts", "governance")
# Parts whose documents a process remembers: agents ask about a symbol for all tenants within minutes.
_REMEMBERED: Final = 64
# Three times as fast as zlib's default and a tenth larger.
_LEVEL: Final = 1
_NO_TIME: Final = dt.datetime.fromtimestamp(0, dt.UTC)

_sql = queries.load(__file__, "snapshots.sql")


class EvidenceGone(Exception):
    """Evidence is not there any more: it was kept for its time."""


class EvidenceTampered(Exception):
    """Evidence is not what it was when it was kept."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Evidence as it is kept.

    Attributes
    ----------
    digest : bytes
        SHA-256 of the document that names the parts; identifies the evidence.
    documents : mapping of bytes to bytes
        The documents by digest, the parts included.
    """

    digest: bytes
    documents: Mapping[bytes, bytes]


class SnapshotMaker:
    """Makes snapshots, and remembers those of parts that come again as the same objects."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[object, ...], tuple[Any, bytes, bytes]] = OrderedDict()

    def snapshot(self, evidence: Evidence) -> Snapshot:
        """Return the evidence as it is kept."""
        found = {name: getattr(evidence, name) for name in _PARTS}
        parts = {name: self._document(name, part) for name, part in found.items() if part}
        root = {
            "format": FORMAT,
            "symbol": evidence.symbol,
            "interval": evidence.interval.value,
            "missing": {str(what): why for what, why in evidence.missing.items()},
            "parts": {name: digest.hex() for name, (digest, _) in parts.items()},
            "retrieved_at": {name: series.retrieved_at for name, series in evidence.on_chain.items()},
        }
        digest, document = _sealed(orjson.dumps(root, option=orjson.OPT_SORT_KEYS))
        return Snapshot(digest, {digest: document, **dict(parts.values())})

    def _document(self, name: str, part: Any) -> tuple[bytes, bytes]:
        key = _identity(part)
        known = self._known.get(key)
        if known is None:
            content = to_json(_timeless(part) if name == "on_chain" else part)
            # The part is kept with its document, so that no other object can get its identity.
            known = (part, *_sealed(content))
            self._known[key] = known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return known[1:]


async def keep(session: Session, snapshots: Sequence[Snapshot]) -> None:
    """Keep evidence, in the transaction that stores the signals made from it.

    What is there already is not sent again.
    """
    documents = {digest: one for snapshot in snapshots for digest, one in snapshot.documents.items()}
    there = {row["digest"] async for row in _sql.in_use(session, digests=sorted(documents))}
    missing = [document for digest, document in sorted(documents.items()) if digest not in there]
    if missing:
        await _sql.keep(session, documents=missing)


async def documents_of(session: Session, digests: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return the documents of evidence with those of its parts, as far as they are there."""
    roots = await _documents(session, digests)
    # What names parts is small; the parts themselves are not opened here, on the event loop.
    return roots | await _documents(session, {part for root in roots.values() for part in _parts_named(root)})


async def _documents(session: Session, digests: Iterable[bytes]) -> dict[bytes, bytes]:
    rows = _sql.documents(session, digests=sorted(digests))
    return {row["digest"]: row["document"] async for row in rows}


class KeptEvidence:
    """Evidence out of its documents; each part is read once, however much evidence names it.

    Parameters
    ----------
    documents : mapping of bytes to bytes
        From :func:`documents_of`.
    """

    def __init__(self, documents: Mapping[bytes, bytes]) -> None:
        self._documents = documents
        self._kinds = field_types()
        self._read: dict[tuple[str, str], Any] = {}

    def evidence(self, digest: bytes, *, now: dt.datetime) -> Evidence:
        """Return the evidence of a digest.

        Parameters
        ----------
        digest : bytes
            Of the evidence.
        now : datetime
            The moment of the signal.

        Raises
        ------
        EvidenceGone
            A document is not there, or of another format.
        EvidenceTampered
            A document does not have the digest it is kept under, or cannot be read.
        """
        content = self._opened(digest)
        try:
            root = orjson.loads(content)
            if root["format"] != FORMAT:
                raise EvidenceGone(f"the evidence {digest.hex()} is kept in a form that is no longer read")
            parts = {name: self._part(name, part) for name, part in root["parts"].items()}
            if "on_chain" in parts:
                parts["on_chain"] = _retrieved(parts["on_chain"], root["retrieved_at"])
            return Evidence(root["symbol"], Interval(root["interval"]), now, missing=root["missing"], **parts)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EvidenceTampered(f"the document {digest.hex()} is no evidence") from error

    def _part(self, name: str, digest: str) -> Any:
        key = (name, digest)
        if key not in self._read:
            self._read[key] = from_json(self._opened(bytes.fromhex(digest)), self._kinds[name])
        return self._read[key]

    def _opened(self, digest: bytes) -> bytes:
        document = self._documents.get(digest)
        if document is None:
            raise EvidenceGone(f"the evidence {digest.hex()} is no longer kept")
        if hashlib.sha256(document).digest() != digest:
            raise EvidenceTampered(f"the evidence kept as {digest.hex()} has another content")
        try:
            return zlib.decompress(document)
        except zlib.error as error:
            raise EvidenceTampered(f"the document {digest.hex()} is no evidence") from error


def _timeless(on_chain: Mapping[str, DailySeries]) -> dict[str, DailySeries]:
    return {name: replace(series, retrieved_at=_NO_TIME) for name, series in on_chain.items()}


def _retrieved(on_chain: Mapping[str, DailySeries], times: Mapping[str, str]) -> dict[str, DailySeries]:
    return {
        name: replace(series, retrieved_at=dt.datetime.fromisoformat(times[name]))
        for name, series in on_chain.items()
    }


def _sealed(content: bytes) -> tuple[bytes, bytes]:
    document = zlib.compress(content, _LEVEL)
    return hashlib.sha256(document).digest(), document


def _parts_named(document: bytes) -> list[bytes]:
    """Return the digests that the document of evidence names; none when it cannot be read."""
    try:
        named = orjson.loads(zlib.decompress(document))["parts"]
        return [bytes.fromhex(part) for part in named.values()]
    except (AttributeError, KeyError, TypeError, ValueError, zlib.error):
        return []


def _identity(part: Any) -> tuple[object, ...]:
    # A mapping is often built anew around the same series.
    if isinstance(part, Mapping):
        return tuple((name, id(item)) for name, item in part.items())
    return (id(part),)
