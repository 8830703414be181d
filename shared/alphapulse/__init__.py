"""Shared code of AlphaPulse."""
