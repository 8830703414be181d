"""RedisBroker: a Knative Broker whose log is Redis Streams."""
