"""Vault as a function's settings name it."""

from alphapulse.runtime.resources import NotConfigured
from alphapulse.runtime.settings import Settings
from alphapulse.tenancy.vault.connection import VaultConnection
from alphapulse.tenancy.vault.login import AppRoleLogin, KubernetesLogin, Login
from alphapulse.tenancy.vault.transport import VaultServer


def connect_vault(settings: Settings) -> VaultConnection:
    """Return the connection; nothing is sent before it is used.

    Raises
    ------
    NotConfigured
        `VAULT_ADDR` is not set, or neither `VAULT_K8S_ROLE` nor both files of an AppRole.
    """
    if settings.vault_addr is None:
        raise NotConfigured("VAULT_ADDR is not set")
    server = VaultServer(
        settings.vault_addr, ca_file=settings.vault_cacert, namespace=settings.vault_namespace
    )
    return VaultConnection(server, _login(settings))


def _login(settings: Settings) -> Login:
    if settings.vault_k8s_role is not None:
        return KubernetesLogin(role=settings.vault_k8s_role, token_file=settings.vault_k8s_token_file)
    if settings.vault_role_id_file is None or settings.vault_secret_id_file is None:
        raise NotConfigured("neither VAULT_K8S_ROLE nor VAULT_ROLE_ID_FILE and VAULT_SECRET_ID_FILE are set")
    return AppRoleLogin(settings.vault_role_id_file, settings.vault_secret_id_file)
