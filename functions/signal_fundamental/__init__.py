"""The fundamental agent."""
