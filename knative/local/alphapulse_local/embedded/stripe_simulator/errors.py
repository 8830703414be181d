"""Stripe's errors: a status and `{"error": {"type", "code", "message", "param"}}`."""

from typing import Any


class Refusal(Exception):
    """A request is answered with an error."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param

    def document(self) -> dict[str, Any]:
        """Return the body."""
        members = {"type": self.kind, "message": self.message, "code": self.code, "param": self.param}
        return {"error": {name: value for name, value in members.items() if value is not None}}


def no_such(kind: str, number: str, *, param: str = "id", status: int = 404) -> Refusal:
    """Return the refusal of an id that is not there; in a parameter it is 400 instead of 404."""
    return Refusal(f"No such {kind}: '{number}'", status=status, code="resource_missing", param=param)
