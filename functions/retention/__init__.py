"""Removes what was kept for a time only."""
