"""SCRAM-SHA-256 verifiers, so that a password itself never reaches the server or its logs."""

import base64
import hashlib
import hmac
import os

_ITERATIONS = 4096


def scram_verifier(password: str, *, salt: bytes | None = None) -> str:
    """Return what PostgreSQL stores for a password.

    Parameters
    ----------
    password
        Printable ASCII; SASLprep leaves that as it is.
    salt
        16 random bytes when not given.

    Raises
    ------
    ValueError
        The password has other characters.

    References
    ----------
    RFC 5802, section 3; RFC 7677.
    """
    if not (password.isascii() and password.isprintable()):
        raise ValueError("a role's password must be printable ASCII")
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encoded = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ITERATIONS, *encoded)
