"""Tells people what happened, by mail and in a list."""
