"""What a handler answers."""

from dataclasses import dataclass
from typing import Any

from uuid_utils import uuid4


@dataclass(frozen=True)
class Answer:
    """Data or a token; neither is 204.

    Attributes
    ----------
    raw
        A document that is not wrapped as Vault wraps most of them (`sys/health`).
    """

    data: dict[str, Any] | None = None
    auth: dict[str, Any] | None = None
    raw: dict[str, Any] | None = None

    @property
    def document(self) -> dict[str, Any] | None:
        """The body; None for 204."""
        if self.raw is not None:
            return self.raw
        if self.data is None and self.auth is None:
            return None
        return wrapped(self.data, auth=self.auth)


def wrapped(data: dict[str, Any] | None, *, auth: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return data in what Vault wraps every answer in."""
    return {
        "request_id": str(uuid4()),
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": data,
        "wrap_info": None,
        "warnings": None,
        "auth": auth,
    }
