"""Settings of a function process, read from its environment once."""

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Settings(BaseModel):
    """Everything a function may be configured with; each reads only what it needs.

    The field `database_url` is the environment variable `DATABASE_URL`, and so on. An empty
    variable counts as absent. Addresses that carry a password are secrets and never printed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    function: str = Field(default="function", pattern=r"^[a-z][a-z0-9_]*$")
    host: str = "0.0.0.0"  # noqa: S104 - a container listens on every address of its pod
    port: int = Field(default=8080, ge=0, le=65535)
    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")
    body_limit_bytes: int = Field(default=1_048_576, ge=1024)
    shutdown_seconds: int = Field(default=25, ge=1)

    database_url: SecretStr | None = None
    platform_database_url: SecretStr | None = None
    database_pool_size: int = Field(default=8, ge=1)
    redis_url: SecretStr | None = None
    broker_url: str | None = None
    jwks_url: str | None = None
    token_signing_key_file: Path | None = None

    market_data_dir: Path | None = None
    simulation_seed: int = 20260101
    price_max_age_seconds: float = Field(default=30, gt=0)
    paper_half_spread_bps: Decimal = Field(default=Decimal(1), ge=0, le=1000)
    paper_fee_bps: Decimal = Field(default=Decimal(10), ge=0, le=1000)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read settings from `environment` (default: the process's).

        Raises
        ------
        pydantic.ValidationError
            A value is malformed; the message names the setting.
        """
        source = os.environ if environment is None else environment
        fields = cls.model_fields
        return cls.model_validate(
            {name.lower(): value for name, value in source.items() if value and name.lower() in fields}
        )
