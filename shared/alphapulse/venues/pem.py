"""Private keys as exchanges hand them out."""

from typing import TYPE_CHECKING

from alphapulse.venues.keys import ApiKeys
from alphapulse.venues.protocol import KeyRefused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_BEGIN = "-----BEGIN "


class MalformedSecret(KeyRefused):
    """The secret cannot be what the exchange issued, so the exchange was not asked."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="malformed_secret")


def is_pem(text: str) -> bool:
    """Tell whether a secret is a PEM document."""
    return text.lstrip().startswith(_BEGIN)


def private_key(keys: ApiKeys) -> "PrivateKeyTypes":
    """Return the private key of a secret in PEM form.

    Raises
    ------
    MalformedSecret
        It is none, or the passphrase does not open it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - not at cold start
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    # A PEM document copied out of a JSON file has its line ends escaped.
    text = keys.api_secret.strip().replace("\\n", "\n")
    password = None if keys.passphrase is None else keys.passphrase.encode()
    try:
        return load_pem_private_key(text.encode(), password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        problem = "the secret is no private key in PEM form, or the passphrase does not open it"
    raise MalformedSecret(problem)
