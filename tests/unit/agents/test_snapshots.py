"""Evidence comes back out of its documents bit for bit, and whatever was done to them is noticed."""

import datetime as dt
import hashlib
import math
import struct
import zlib
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.agents.documents import MalformedDocument, from_json, to_json
from alphapulse.agents.snapshots import EvidenceGone, EvidenceTampered, KeptEvidence, SnapshotMaker
from alphapulse.domain.agents.evidence import (
    Bars,
    DailySeries,
    Dataset,
    Evidence,
    Governance,
    PostSample,
    Proposal,
    ScoredPost,
)
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import PriceSeries
from alphapulse.domain.signals import SignalInput

NOW = dt.datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=dt.UTC)
ODD = (0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 1e22, math.nan, math.inf, -math.inf, 3.0)


def daily(name: str, values: tuple[float, ...] = ODD) -> DailySeries:
    days = tuple(dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(len(values)))
    return DailySeries(name, days, np.array(values), "simulated", NOW - dt.timedelta(hours=1))


def bars(values: tuple[float, ...] = (1.0, 2.5, 0.1)) -> Bars:
    times = tuple(NOW.replace(microsecond=0) - dt.timedelta(hours=n) for n in range(len(values), 0, -1))
    columns = [np.array(values) + n for n in range(5)]
    return Bars(PriceSeries(times, *columns), Interval.HOUR, "directory")


def full() -> Evidence:
    post = ScoredPost(
        id="t3_x",
        network="reddit",
        author="a" * 16,
        posted_at=NOW - dt.timedelta(minutes=3, microseconds=7),
        polarity=-0.4215,
        engagement=12.0,
        fingerprint="f",
        words=9,
        links=0,
        tags=1,
    )
    proposal = Proposal(
        id="0x1",
        started_at=NOW - dt.timedelta(days=9),
        ended_at=NOW - dt.timedelta(days=2),
        state="passed",
        votes_for=1e6 / 3,
        votes_against=0.0,
        votes_abstain=7.5,
        quorum=None,
        voters=812,
        spends_treasury=None,
    )
    return Evidence(
        "UNI-USD",
        Interval.HOUR,
        NOW,
        bars=bars(),
        on_chain={"mvrv": daily("mvrv"), "price_usd": daily("price_usd", (1.0, 2.0))},
        supply={
            "max_supply": SignalInput("max_supply", 21_000_000, NOW, "coingecko"),
            "note": SignalInput("note", "capped", NOW, "coingecko"),
            "odd": SignalInput("odd", math.inf, NOW, "coingecko"),
            "none": SignalInput("none", None, NOW, "coingecko"),
        },
        posts=PostSample((post, replace(post, id="t3_y", polarity=1.0)), "reddit", NOW),
        governance=Governance((proposal,), 1e9, daily("treasury_usd"), "snapshot", NOW),
        missing={Dataset.POSTS + ".x": "no key is set"},
    )


def same(one: Any, other: Any) -> bool:
    """Compare to the last bit and by type."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, float):
        return type(other) is float and struct.pack("d", one) == struct.pack("d", other)
    if is_dataclass(one):
        names = [item.name for item in fields(one)]
        return type(one) is type(other) and all(same(getattr(one, n), getattr(other, n)) for n in names)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def kept(evidence: Evidence) -> Evidence:
    snapshot = SnapshotMaker().snapshot(evidence)
    return KeptEvidence(snapshot.documents).evidence(snapshot.digest, now=evidence.now)


@pytest.mark.parametrize("without", [None, "bars", "posts", "governance", "on_chain", "supply"])
def test_evidence_comes_back_as_it_was(without: str | None) -> None:
    evidence = full()
    if without is not None:
        evidence = replace(evidence, **{without: None if without not in {"on_chain", "supply"} else {}})

    assert same(kept(evidence), evidence)


def test_empty_evidence_comes_back_as_it_was() -> None:
    evidence = Evidence("BTC-USD", Interval.DAY, NOW, missing={"candles": "there are none"})

    assert same(kept(evidence), evidence)


@given(st.lists(st.floats(width=64), max_size=40))
def test_every_float_of_a_series_keeps_its_bits(values: list[float]) -> None:
    # A NaN is a hole, whichever of the many it is.
    series = daily("mvrv", tuple(math.nan if math.isnan(value) else value for value in values))

    assert same(from_json(to_json(series), DailySeries), series)


@given(st.floats() | st.integers(min_value=-(2**53), max_value=2**53) | st.text() | st.none())
def test_every_figure_keeps_its_value_and_type(value: float | str | None) -> None:
    if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
        return  # no text that came as JSON has these
    if isinstance(value, float) and math.isnan(value):
        value = math.nan
    figure = SignalInput("figure", value, NOW, "somewhere")

    assert same(from_json(to_json(figure), SignalInput), figure)


def test_same_evidence_has_the_same_digest_whoever_made_it_and_when() -> None:
    first, later = full(), replace(full(), now=NOW + dt.timedelta(minutes=4))

    assert SnapshotMaker().snapshot(first).digest == SnapshotMaker().snapshot(later).digest


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "UNI-EUR"},
        {"interval": Interval.DAY},
        {"missing": {}},
        {"bars": bars((1.0, 2.5, 0.1000001))},
        {"on_chain": {}},
        {"posts": None},
    ],
)
def test_other_evidence_has_another_digest(change: dict[str, Any]) -> None:
    assert (
        SnapshotMaker().snapshot(replace(full(), **change)).digest != SnapshotMaker().snapshot(full()).digest
    )


def test_series_retrieved_again_share_their_days() -> None:
    first = full()
    again = {
        name: replace(series, retrieved_at=NOW, values=series.values.copy())
        for name, series in first.on_chain.items()
    }
    one, other = (SnapshotMaker().snapshot(e) for e in (first, replace(first, on_chain=again)))

    assert one.digest != other.digest
    assert len(one.documents.keys() & other.documents.keys()) == len(one.documents) - 1
    assert KeptEvidence(other.documents).evidence(other.digest, now=NOW).on_chain["mvrv"].retrieved_at == NOW


def test_remembered_parts_are_those_of_the_same_objects_only() -> None:
    maker, evidence = SnapshotMaker(), full()
    first = maker.snapshot(evidence)
    changed = replace(evidence, bars=bars((1.0, 2.0, 3.0)))

    assert maker.snapshot(evidence) == first
    assert maker.snapshot(changed) == SnapshotMaker().snapshot(changed)
    for n in range(200):
        maker.snapshot(replace(evidence, bars=bars((float(n), 1.0))))
    assert maker.snapshot(evidence) == first
    assert len(maker._known) <= 64


def test_part_that_several_share_is_read_once() -> None:
    maker, evidence = SnapshotMaker(), full()
    snapshots = [maker.snapshot(replace(evidence, symbol=symbol)) for symbol in ("UNI-USD", "UNI-EUR")]
    kept_evidence = KeptEvidence({**snapshots[0].documents, **snapshots[1].documents})

    first, second = (kept_evidence.evidence(one.digest, now=NOW) for one in snapshots)

    assert (first.symbol, second.symbol) == ("UNI-USD", "UNI-EUR")
    assert first.bars is second.bars


class TestTampering:
    def test_each_missing_document_is_told(self) -> None:
        snapshot = SnapshotMaker().snapshot(full())
        for digest in snapshot.documents:
            rest = {key: document for key, document in snapshot.documents.items() if key != digest}
            with pytest.raises(EvidenceGone, match="no longer kept"):
                KeptEvidence(rest).evidence(snapshot.digest, now=NOW)

    def test_each_changed_document_is_told(self) -> None:
        snapshot = SnapshotMaker().snapshot(full())
        for digest, document in snapshot.documents.items():
            content = zlib.decompress(document).replace(b"1", b"2")
            forged = {**snapshot.documents, digest: zlib.compress(content)}
            with pytest.raises(EvidenceTampered, match="another content"):
                KeptEvidence(forged).evidence(snapshot.digest, now=NOW)

    def test_document_of_something_else_is_no_evidence(self) -> None:
        snapshot = SnapshotMaker().snapshot(full())
        for digest in snapshot.documents.keys() - {snapshot.digest}:
            with pytest.raises(EvidenceTampered, match="is no evidence"):
                KeptEvidence(snapshot.documents).evidence(digest, now=NOW)

    @pytest.mark.parametrize("content", [b"", b"no json", b"[]", b"{}", b'{"parts": {"bars": "zz"}}'])
    def test_unreadable_content_is_told(self, content: bytes) -> None:
        document = zlib.compress(content)
        digest = hashlib.sha256(document).digest()
        with pytest.raises(EvidenceTampered):
            KeptEvidence({digest: document}).evidence(digest, now=NOW)

    def test_document_that_was_never_compressed_is_told(self) -> None:
        document = b"no zlib"
        digest = hashlib.sha256(document).digest()
        with pytest.raises(EvidenceTampered):
            KeptEvidence({digest: document}).evidence(digest, now=NOW)

    def test_evidence_of_another_format_is_not_called_tampered(self) -> None:
        snapshot = SnapshotMaker().snapshot(full())
        root = orjson.loads(zlib.decompress(snapshot.documents[snapshot.digest])) | {"format": 0}
        document = zlib.compress(orjson.dumps(root))
        digest = hashlib.sha256(document).digest()
        with pytest.raises(EvidenceGone, match="form that is no longer read"):
            KeptEvidence({**snapshot.documents, digest: document}).evidence(digest, now=NOW)

    def test_unknown_part_is_told(self) -> None:
        maker = SnapshotMaker().snapshot(full())
        root = orjson.loads(zlib.decompress(maker.documents[maker.digest]))
        root["parts"]["secrets"] = root["parts"]["bars"]
        document = zlib.compress(orjson.dumps(root))
        digest = hashlib.sha256(document).digest()
        with pytest.raises(EvidenceTampered):
            KeptEvidence({**maker.documents, digest: document}).evidence(digest, now=NOW)

    @pytest.mark.parametrize("kind", [Bars, PostSample, Governance, DailySeries])
    def test_document_of_another_kind_is_malformed(self, kind: type) -> None:
        with pytest.raises(MalformedDocument):
            from_json(to_json({"a": 1}), kind)


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="holds a set"):
        to_json({"a": {1}})
