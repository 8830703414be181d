"""The activist agent."""
