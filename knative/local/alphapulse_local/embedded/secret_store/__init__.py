"""The development store of secrets: the part of Vault's HTTP API that the platform uses. It is not Vault.

Its own process (`python -m alphapulse_local.embedded.secret_store`) serves real HTTP on 127.0.0.1 and keeps
everything in one directory. Policies, token lives, KV versions and check-and-set are enforced as Vault does;
what is not supported is refused, never ignored.
"""

from alphapulse_local.embedded.secret_store.server import EmbeddedSecretStore

__all__ = ["EmbeddedSecretStore"]
