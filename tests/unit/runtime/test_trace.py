import pytest

from alphapulse.runtime.trace import continue_trace

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_the_callers_trace_goes_on_with_a_new_span() -> None:
    trace = continue_trace(f"00-{TRACE}-00f067aa0ba902b7-01")

    assert trace.trace_id == TRACE
    assert trace.span_id != "00f067aa0ba902b7"
    assert f"00-{TRACE}-{trace.span_id}-01" == trace.traceparent


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
    ],
)
def test_malformed_header_starts_a_new_trace(header: str | None) -> None:
    trace = continue_trace(header)

    assert len(trace.trace_id) == 32
    assert trace.trace_id not in (TRACE, "0" * 32)
