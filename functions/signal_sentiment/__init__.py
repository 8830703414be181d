"""The sentiment agent."""
