"""Which source of signing keys this deployment has."""

from alphapulse.runtime.resources import NotConfigured, Resources
from alphapulse.tenancy.signing_key_sources import FileKeys, VaultKeys


def signing_key_source(resources: Resources) -> FileKeys | VaultKeys:
    """Return Vault where there is one, else the files beside `TOKEN_SIGNING_KEY_FILE`.

    Raises
    ------
    NotConfigured
        There is neither.
    """
    settings = resources.settings
    if settings.vault_addr is not None:
        return VaultKeys(resources.platform_vault)
    if settings.token_signing_key_file is None:
        raise NotConfigured("neither VAULT_ADDR nor TOKEN_SIGNING_KEY_FILE is set")
    return FileKeys(settings.token_signing_key_file)
