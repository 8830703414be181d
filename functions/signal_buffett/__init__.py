"""The long-horizon agent."""
