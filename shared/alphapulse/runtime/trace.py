"""W3C Trace Context: read, continue and write `traceparent`."""

import re
import secrets
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"^00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})$")


@dataclass(frozen=True, slots=True)
class Trace:
    """One span of a trace."""

    trace_id: str
    span_id: str
    flags: str = "01"

    @property
    def traceparent(self) -> str:
        """The header value for what this span calls."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def continue_trace(traceparent: str | None) -> Trace:
    """Return a new span of the caller's trace, or of a new one when the header is absent or malformed."""
    match = _TRACEPARENT.match(traceparent or "")
    if match is None or match["trace"] == "0" * 32 or match["span"] == "0" * 16:
        return Trace(trace_id=secrets.token_hex(16), span_id=secrets.token_hex(8))
    return Trace(trace_id=match["trace"], span_id=secrets.token_hex(8), flags=match["flags"])
