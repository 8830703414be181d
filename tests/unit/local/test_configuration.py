from pathlib import Path

import pytest

from alphapulse_local.configuration import Configuration
from alphapulse_local.manifests import FunctionManifest, ManifestError, Variable

CONFIGURATION = Configuration(
    config_maps={"settings": {"LOG_LEVEL": "INFO"}},
    secrets={"database": {"url": "postgresql://secret"}},
    secret_directories={"key": Path("/home/me/.local/secrets/key")},
    process={"PYTHONUNBUFFERED": "1"},
)


def manifest(*variables: Variable, **fields: object) -> FunctionManifest:
    return FunctionManifest(name="trade", path=Path("trade.yaml"), variables=variables, **fields)  # type: ignore[arg-type]  # tests vary fields


def test_environment_holds_what_the_manifest_names_and_nothing_else() -> None:
    function = manifest(
        Variable("FUNCTION", value="trade"),
        Variable("DATABASE_URL", secret=("database", "url")),
        Variable("LEVEL", config_map=("settings", "LOG_LEVEL")),
        config_maps=("settings",),
    )

    assert CONFIGURATION.environment(function) == {
        "PYTHONUNBUFFERED": "1",
        "LOG_LEVEL": "INFO",
        "FUNCTION": "trade",
        "DATABASE_URL": "postgresql://secret",
        "LEVEL": "INFO",
    }


def test_path_below_a_mounted_secret_becomes_a_path_of_this_machine() -> None:
    function = manifest(
        Variable("KEY_FILE", value="/var/run/secrets/key/key.pem"),
        secret_mounts={"/var/run/secrets/key": "key"},
    )

    assert CONFIGURATION.environment(function)["KEY_FILE"] == "/home/me/.local/secrets/key/key.pem"


def test_missing_secret_is_refused_by_name() -> None:
    with pytest.raises(ManifestError, match="REDIS_URL wants key url of redis"):
        CONFIGURATION.environment(manifest(Variable("REDIS_URL", secret=("redis", "url"))))


def test_missing_optional_secret_is_left_out() -> None:
    function = manifest(Variable("REDIS_URL", secret=("redis", "url"), optional=True))

    assert "REDIS_URL" not in CONFIGURATION.environment(function)


def test_missing_config_map_is_refused_by_name() -> None:
    with pytest.raises(ManifestError, match="envFrom wants other"):
        CONFIGURATION.environment(manifest(config_maps=("other",)))


def test_secrets_are_not_shown() -> None:
    assert "postgresql://secret" not in repr(CONFIGURATION)
