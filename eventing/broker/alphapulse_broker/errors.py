"""Errors of the broker.

BrokerError
├── InvalidEvent          the sender's fault: 400
├── InvalidAddress        BROKER_REDIS_URL or its TLS files cannot be used
├── InvalidManifest       a Trigger or Broker manifest that cannot be used
├── LogUnavailable        Redis cannot be reached or refuses: 503, transient
│   └── GroupMissing      the stream or its group is not there (Redis lost its data)
├── UnknownEntry          nothing is parked under the id an operator gave
├── UnknownTrigger        an operator named a trigger that is not there
└── NoTriggerTable        no table that this process can read has been published: 503, transient
"""


class BrokerError(Exception):
    """Root of the broker's errors."""


class InvalidEvent(BrokerError):
    """What was received is not a CloudEvent this broker can carry."""


class InvalidAddress(BrokerError):
    """Where Redis is said to be makes no address; the message never repeats the URL."""


class InvalidManifest(BrokerError):
    """A manifest is malformed or asks for something this broker does not do."""


class LogUnavailable(BrokerError):
    """Redis did not answer, or refused to write."""


class GroupMissing(LogUnavailable):
    """A trigger's stream or its consumer group does not exist."""


class NoTriggerTable(BrokerError):
    """Redis holds no trigger table that this process can read, and it has none to publish."""


class UnknownEntry(BrokerError):
    """Nothing is parked under an id."""


class UnknownTrigger(BrokerError):
    """A trigger that an operator named is not there."""
