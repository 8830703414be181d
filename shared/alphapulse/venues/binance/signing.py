"""How requests to Binance are signed.

References
----------
Binance Spot API, "Request security": HMAC-SHA256 in hexadecimal, or Ed25519 in base64, over the
percent-encoded parameters as they are sent.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from alphapulse.venues.keys import ApiKeys
from alphapulse.venues.pem import MalformedSecret, is_pem, private_key

#: How many milliseconds old a request may be when it arrives.
RECEIVE_WINDOW_MS = 5000


def signed_query(keys: ApiKeys, parameters: Mapping[str, str], *, timestamp_ms: int) -> str:
    """Return the query with time, window and signature.

    Raises
    ------
    alphapulse.venues.pem.MalformedSecret
        The secret is a PEM document and not an Ed25519 key.
    """
    query = urlencode(
        {**parameters, "recvWindow": RECEIVE_WINDOW_MS, "timestamp": timestamp_ms}, quote_via=quote
    )
    return f"{query}&signature={quote(signature(keys, query), safe='')}"


def signature(keys: ApiKeys, payload: str) -> str:
    """Return the signature of encoded parameters: by Ed25519 if the secret is a PEM document, else HMAC."""
    if not is_pem(keys.api_secret):
        return hmac.new(keys.api_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    key = private_key(keys)
    if not isinstance(key, Ed25519PrivateKey):
        raise MalformedSecret("the private key must be an Ed25519 key")
    return base64.b64encode(key.sign(payload.encode())).decode()
