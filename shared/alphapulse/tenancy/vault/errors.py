"""Errors of Vault.

    VaultError              Vault refused the request as such
    +-- VaultUnavailable    it does not answer, is sealed or failed; the same request may work later
    +-- VaultDenied         no valid login, or the policies do not allow this
    `-- CasMismatch         the secret has another version than the writer expected

No message holds a secret or a token: only what was attempted and where.
"""


class VaultError(Exception):
    """Vault refused the request as such."""


class VaultUnavailable(VaultError):
    """Vault does not answer, is sealed or failed; the same request may work later."""

    retry_after_seconds = 2


class VaultDenied(VaultError):
    """There is no valid login, or its policies do not allow this."""


class CasMismatch(VaultError):
    """The secret has another version than the writer expected."""
