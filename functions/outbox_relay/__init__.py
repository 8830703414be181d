"""Sends events whose first send was lost."""
