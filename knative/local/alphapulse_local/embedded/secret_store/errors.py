"""Refusals, as Vault words and numbers them."""

from typing import Any


class Refused(Exception):
    """An answer with `{"errors": [...]}`.

    Parameters
    ----------
    status
        Of HTTP.
    data
        Sent along, as Vault does with a deleted version's metadata.
    """

    def __init__(self, status: int, *errors: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(", ".join(errors))
        self.status = status
        self.errors = list(errors)
        self.data = data


def denied() -> Refused:
    """Return the answer to everything a token may not do."""
    return Refused(403, "1 error occurred:\n\t* permission denied\n\n")


def nothing_there() -> Refused:
    """Return the answer to a read or list of what does not exist."""
    return Refused(404)


def unsupported(what: str) -> Refused:
    """Return the answer to a feature of Vault that this store does not have, and must not ignore."""
    return Refused(400, f"the development store does not support {what}")
