"""What a function's process finds in its environment: the manifest's variables and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from alphapulse_local.manifests import FunctionManifest, ManifestError, Manifests, Variable

SETTINGS = "alphapulse-config"

# A laptop behind a proxy reaches the exchanges through these only.
NETWORK_VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)

# Of the ConfigMap; whoever starts the platform may set others: load tests come from one address, and test
# systems may stand in for exchanges and data sources.
_SETTABLE = (
    *("IP_REQUESTS_PER_MINUTE", "MARKET_SYMBOLS", "SIMULATION_SEED", "PRICE_MAX_AGE_SECONDS"),
    *("BINANCE_URL", "COINBASE_URL", "KRAKEN_URL"),
    *("COIN_METRICS_URL", "BLOCKCHAIN_COM_URL", "COINGECKO_URL", "ETHPLORER_URL"),
    *("REDDIT_URL", "X_URL", "SNAPSHOT_URL", "TALLY_URL", "DEFILLAMA_URL"),
)

# Variable of whoever starts the platform -> Secret and key in which functions find it, if they do.
_SOURCE_KEYS = {
    "COINGECKO_API_KEY": ("coingecko", "api-key"),
    "COIN_METRICS_API_KEY": ("coin-metrics", "api-key"),
    "ETHPLORER_API_KEY": ("ethplorer", "api-key"),
    "TALLY_API_KEY": ("tally", "api-key"),
    "X_BEARER_TOKEN": ("x", "bearer-token"),
}


def chosen_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of functions that whoever starts the platform has set."""
    return {name: environment[name] for name in _SETTABLE if name in environment}


def source_keys(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the Secrets with keys for data sources that whoever starts the platform has."""
    return {
        secret: {key: environment[variable]}
        for variable, (secret, key) in _SOURCE_KEYS.items()
        if environment.get(variable)
    }


@dataclass(frozen=True)
class Configuration:
    """The cluster's ConfigMaps and Secrets as the laptop has them.

    Attributes
    ----------
    config_maps
        Name -> key -> value.
    secrets
        Name -> key -> value. Never printed.
    secret_directories
        Name -> directory of a Secret that is mounted as files.
    process
        Added to every function: the interpreter's and the network's settings.
    """

    config_maps: Mapping[str, Mapping[str, str]]
    secrets: Mapping[str, Mapping[str, str]] = field(repr=False)
    secret_directories: Mapping[str, Path]
    process: Mapping[str, str]

    @classmethod
    def on_laptop(
        cls,
        manifests: Manifests,
        *,
        settings: Mapping[str, str],
        secrets: Mapping[str, Mapping[str, str]],
        secret_directories: Mapping[str, Path],
        environment: Mapping[str, str],
    ) -> Self:
        """Return the cluster's configuration with the laptop's settings in place of the cluster's.

        Parameters
        ----------
        settings
            Replace those of the ConfigMap that every function reads.
        environment
            Of the platform; the network's settings are passed on.
        """
        network = {name: environment[name] for name in NETWORK_VARIABLES if name in environment}
        return cls(
            config_maps={
                name: {**values, **(settings if name == SETTINGS else {})}
                for name, values in manifests.config_maps.items()
            },
            secrets=secrets,
            secret_directories=secret_directories,
            process={"PYTHONUNBUFFERED": "1", "SHUTDOWN_SECONDS": "8", **network},
        )

    def environment(self, manifest: FunctionManifest) -> dict[str, str]:
        """Return the environment of a function.

        Raises
        ------
        ManifestError
            The manifest asks for a Secret, ConfigMap or key that does not exist.
        """
        environment = dict(self.process)
        for name in manifest.config_maps:
            environment |= self._source(manifest, self.config_maps, name)
        for name in manifest.secrets:
            environment |= self._source(manifest, self.secrets, name)
        for variable in manifest.variables:
            value = self._value(manifest, variable)
            if value is not None:
                environment[variable.name] = value
        return environment

    def _value(self, manifest: FunctionManifest, variable: Variable) -> str | None:
        if variable.value is not None:
            return self._local_path(manifest, variable.value)
        values, reference = (
            (self.secrets, variable.secret) if variable.secret else (self.config_maps, variable.config_map)
        )
        name, key = reference or ("", "")
        value = values.get(name, {}).get(key)
        if value is None and not variable.optional:
            raise ManifestError(f"{manifest.path}: {variable.name} wants key {key} of {name}: there is none")
        return value

    def _local_path(self, manifest: FunctionManifest, value: str) -> str:
        """Turn a path below a mounted Secret into the file's path on this machine."""
        for mount, secret in manifest.secret_mounts.items():
            if value.startswith(mount.rstrip("/") + "/"):
                relative = value.removeprefix(mount.rstrip("/") + "/")
                return str(self.secret_directories[secret] / relative)
        return value

    @staticmethod
    def _source(
        manifest: FunctionManifest, source: Mapping[str, Mapping[str, str]], name: str
    ) -> Mapping[str, str]:
        if name not in source:
            raise ManifestError(f"{manifest.path}: envFrom wants {name}: there is none")
        return source[name]
