"""How values are kept in Redis: as JSON documents."""

from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

Value = TypeVar("Value")


class Codec(Protocol[Value]):
    """Turns values into JSON documents and back."""

    def encode(self, value: Value) -> Any:
        """Return a JSON document."""

    def decode(self, document: Any) -> Value:
        """Return the value of a document.

        Raises
        ------
        LookupError, TypeError, ValueError, AttributeError
            It is none.
        """


class TableCodec(Generic[Value]):
    """Values by asset, each as another codec has it.

    Parameters
    ----------
    codec
        Of one value.
    """

    def __init__(self, codec: Codec[Value]) -> None:
        self._codec = codec

    def encode(self, value: Mapping[str, Value]) -> Any:
        """Return a JSON document."""
        return {asset: self._codec.encode(one) for asset, one in value.items()}

    def decode(self, document: Any) -> Mapping[str, Value]:
        """Return the values of a document; raises LookupError, TypeError, ValueError or AttributeError."""
        return {asset: self._codec.decode(one) for asset, one in document.items()}
