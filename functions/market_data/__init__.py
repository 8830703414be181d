"""Scheduled refresh of candles."""
