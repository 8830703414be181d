"""Vault, scoped: `VaultConnection.tenant(id)` gives one tenant's secrets, `PlatformVault` what few may.

Every request runs off the event loop; nothing is imported from hvac before the first one.
"""

from alphapulse.tenancy.vault.connection import VaultConnection
from alphapulse.tenancy.vault.errors import CasMismatch, VaultDenied, VaultError, VaultUnavailable
from alphapulse.tenancy.vault.login import AppRoleLogin, GivenToken, KubernetesLogin
from alphapulse.tenancy.vault.platform import PlatformVault
from alphapulse.tenancy.vault.secret import VaultSecret
from alphapulse.tenancy.vault.signing_keys import SigningKeys
from alphapulse.tenancy.vault.tenant import TenantVault
from alphapulse.tenancy.vault.transport import VaultServer

__all__ = [
    "AppRoleLogin",
    "CasMismatch",
    "GivenToken",
    "KubernetesLogin",
    "PlatformVault",
    "SigningKeys",
    "TenantVault",
    "VaultConnection",
    "VaultDenied",
    "VaultError",
    "VaultSecret",
    "VaultServer",
    "VaultUnavailable",
]
