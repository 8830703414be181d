"""The value agent."""
