"""Event types, their JSON Schemas, and the CloudEvents codec."""

from alphapulse.events.event import Event, MalformedEvent, event_type

__all__ = ["Event", "MalformedEvent", "event_type"]
