"""How requests to Kraken are signed.

References
----------
Kraken REST API, "Spot REST authentication": base64 of HMAC-SHA512, with the decoded secret, over the
path followed by the SHA-256 of nonce and body.
"""

import base64
import binascii
import hashlib
import hmac

from alphapulse.venues.keys import ApiKeys
from alphapulse.venues.pem import MalformedSecret


def signature(keys: ApiKeys, *, path: str, nonce: int, body: str) -> str:
    """Return the value of `API-Sign`.

    Parameters
    ----------
    path
        With its leading `/0`.
    nonce
        The one in `body`.
    body
        As it is sent.

    Raises
    ------
    alphapulse.venues.pem.MalformedSecret
        The secret is no base64.
    """
    digest = hashlib.sha256(f"{nonce}{body}".encode()).digest()
    mac = hmac.new(_decoded(keys.api_secret), path.encode() + digest, hashlib.sha512)
    return base64.b64encode(mac.digest()).decode()


def _decoded(secret: str) -> bytes:
    try:
        raw = base64.b64decode(secret.strip(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw:
        raise MalformedSecret("the secret is not base64")
    return raw
