"""How requests to Coinbase Advanced Trade are authorised: a JWT for each request.

References
----------
Coinbase Developer Platform, "Authentication": claims sub, iss, nbf, exp and uri; headers kid and
nonce; ES256 for keys in PEM form, EdDSA for Ed25519 keys in base64 (seed and public key).
"""

import base64
import binascii
import datetime as dt
import secrets
from typing import TYPE_CHECKING

from alphapulse.venues.keys import ApiKeys
from alphapulse.venues.pem import MalformedSecret, is_pem, private_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LIFETIME = dt.timedelta(seconds=120)

_SEED_BYTES, _SEED_AND_PUBLIC_KEY_BYTES = 32, 64


def bearer_token(keys: ApiKeys, *, method: str, host: str, path: str, now: dt.datetime) -> str:
    """Return the JWT of one request.

    Parameters
    ----------
    keys
        `api_key` is the key's name (`organizations/.../apiKeys/...`) or id.
    path
        Without the query.

    Raises
    ------
    alphapulse.venues.pem.MalformedSecret
        The secret is neither an EC key on P-256 in PEM form nor an Ed25519 key in base64.
    """
    import jwt  # noqa: PLC0415 - not at cold start

    algorithm, key = _signing_key(keys)
    issued = int(now.timestamp())
    return jwt.encode(
        {
            "sub": keys.api_key,
            "iss": "cdp",
            "nbf": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
            "uri": f"{method} {host}{path}",
        },
        key,
        algorithm=algorithm,
        headers={"kid": keys.api_key, "nonce": secrets.token_hex(16)},
    )


def _signing_key(keys: ApiKeys) -> "tuple[str, EllipticCurvePrivateKey | Ed25519PrivateKey]":
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415 - as above

    if not is_pem(keys.api_secret):
        return "EdDSA", ed25519.Ed25519PrivateKey.from_private_bytes(_seed(keys.api_secret))
    key = private_key(keys)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA", key
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MalformedSecret("the private key must be an EC key on P-256 or an Ed25519 key")
    return "ES256", key


def _seed(secret: str) -> bytes:
    try:
        raw = base64.b64decode(secret.strip(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) not in (_SEED_BYTES, _SEED_AND_PUBLIC_KEY_BYTES):
        raise MalformedSecret("the secret is neither a PEM document nor an Ed25519 key in base64")
    return raw[:_SEED_BYTES]
