"""Settings of every broker process, read once from `BROKER_*` environment variables."""

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One frozen model for ingress, dispatcher and the operator's commands.

    `BROKER_REDIS_URL` carries a password and therefore has no default and is never printed.
    """

    model_config = SettingsConfigDict(
        env_prefix="BROKER_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    redis_url: SecretStr = Field(description="Redis of the broker alone (append-only file on, noeviction)")
    redis_ca_file: Path | None = Field(
        None, description="authorities trusted over TLS (PEM); unset: the system's"
    )
    redis_cert_file: Path | None = Field(None, description="certificate of this client for mutual TLS (PEM)")
    redis_key_file: Path | None = Field(None, description="its private key, unless in the certificate's file")
    redis_sentinel_username: str | None = Field(None, description="ACL user at the Sentinels")
    redis_sentinel_password: SecretStr | None = Field(
        None, description="password at the Sentinels, which is not that of the data nodes"
    )
    namespace: str = Field("alphapulse", description="namespace of the Broker object")
    name: str = Field("default", description="name of the Broker object")
    triggers: Path | None = Field(
        None, description="directory of Trigger manifests; unset: the controller publishes the table"
    )
    manifest: Path | None = Field(
        None, description="Broker manifest; unset: broker.yaml beside the triggers directory, if there"
    )
    subscribers: str = Field(
        "http://{name}.{namespace}.svc.cluster.local", description="URL of a Service that is referred to"
    )

    host: str = Field("127.0.0.1", description="address both servers listen on")
    port: int = Field(9000, description="port of the ingress")
    dispatcher_port: int = Field(9001, description="port of the dispatcher's health and metrics")
    log_level: str = Field("info", validation_alias=AliasChoices("BROKER_LOG_LEVEL", "LOG_LEVEL"))

    max_event_bytes: int = Field(1_048_576, gt=0, description="larger bodies are refused with 413")
    max_waiting: int = Field(1_000, gt=0, description="requests an ingress holds before it answers 503")
    max_stream_length: int = Field(100_000, gt=0, description="entries a trigger may hold before 429")
    dedupe_seconds: float = Field(0, ge=0, description="window for source+id duplicates; 0 is off")

    in_flight: int = Field(32, gt=0, description="concurrent deliveries per trigger and dispatcher")
    tenant_in_flight: int = Field(16, gt=0, description="of these, at most so many for one tenant")
    read_ahead: int = Field(128, gt=0, description="entries per trigger read for the fair pick")
    read_ahead_limit: int = Field(
        16_384, gt=0, description="the same while only tenants at their bound are waiting"
    )
    read_ahead_bytes: int = Field(
        33_554_432, gt=0, description="data per trigger beyond which nothing is read ahead for that"
    )
    max_deliveries: int = Field(5, gt=0, description="deliveries without an answer before an entry is parked")
    timeout_seconds: float = Field(60, gt=0, description="per attempt, where no delivery spec says other")

    claim_idle_seconds: float = Field(30, gt=0, description="silence after which an entry is taken over")
    claim_every_seconds: float = Field(5, gt=0, description="how often what was abandoned is looked for")
    heartbeat_seconds: float = Field(10, gt=0)
    promote_seconds: float = Field(0.15, gt=0, description="how often due retries are looked for")
    table_poll_seconds: float = Field(1, gt=0, description="how often manifests are looked at")
    redis_timeout_seconds: float = Field(5, gt=0)
    read_block_seconds: float = Field(2, gt=0, description="longest wait of one blocking read")
    shutdown_seconds: float = Field(25, gt=0, description="time given to deliveries in flight at SIGTERM")

    controller_port: int = Field(9002, description="port of the controller's health and metrics")
    cluster_domain: str = Field("cluster.local", description="DNS domain of the cluster")
    ingress_service: str = Field(
        "{name}-broker-ingress", description="Service of a Broker's ingress, in the Broker's namespace"
    )
    dispatcher_service: str = Field(
        "{name}-broker-dispatcher", description="Service of its dispatcher; nobody calls it but probes"
    )
    resync_seconds: float = Field(10, gt=0, description="longest time between two looks at the cluster")
    drain_seconds: float = Field(
        600, ge=0, description="time a deleted trigger's events have before they are parked"
    )

    def broker_address(self, *, namespace: str, name: str) -> str:
        """Return the URL that a Broker object announces."""
        host = f"{self.ingress_service.format(name=name)}.{namespace}.svc.{self.cluster_domain}"
        return f"http://{host}/{namespace}/{name}"


def settings_from_environment() -> Settings:
    """Return the settings; raises pydantic.ValidationError naming what is missing or wrong."""
    return Settings()
