"""Errors of sources: remembered as documents, raised anew, with a reason that people can read."""

import pytest

from alphapulse.providers.errors import (
    AnswerMalformed,
    AssetUnknown,
    BrokenFile,
    NotConfigured,
    ProviderError,
    SourceBusy,
    SourceDown,
    SourceRefuses,
    document_of,
    error_of,
)

ERRORS = [
    AssetUnknown("nobody knows 'NOPE'"),
    SourceDown("example answered 500"),
    SourceBusy("example takes no more requests for 7 s", retry_after_seconds=6.5),
    SourceRefuses("example refuses with 403", status=403),
    AnswerMalformed("example answered something that is no JSON"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_from_its_document_with_all_its_facts(error: ProviderError) -> None:
    document = document_of(error)
    assert document is not None

    again = error_of(document)

    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_a_missing_key_is_a_fact_of_one_process_and_has_no_document() -> None:
    assert document_of(NotConfigured("example needs a key")) is None


@pytest.mark.parametrize(
    "document", [{}, {"kind": "ValueError", "reason": "x"}, {"kind": "SourceBusy", "reason": "x"}]
)
def test_a_document_of_something_else_is_refused(document: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        error_of(document)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_raising_again_leaves_the_remembered_error_as_it_is(error: ProviderError) -> None:
    again = error.again("two reasons")

    assert type(again) is type(error)
    assert str(again) == again.reason == "two reasons"
    assert str(error) == error.reason != "two reasons"
    assert vars(again) == vars(error) | {"reason": "two reasons"}


def test_each_kind_has_an_outcome_of_its_own_for_metrics() -> None:
    kinds: list[type[ProviderError]] = [*(type(error) for error in ERRORS), NotConfigured]

    assert len({kind.outcome for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(
    ("line", "said"), [(7, "on_chain/BTC.csv line 7: is wrong"), (None, "on_chain/BTC.csv: is wrong")]
)
def test_a_broken_file_is_named_with_its_line(line: int | None, said: str) -> None:
    assert str(BrokenFile("on_chain/BTC.csv", line, "is wrong")) == said
