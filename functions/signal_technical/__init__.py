"""The technical agent."""
