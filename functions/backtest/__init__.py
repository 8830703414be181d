"""Backtests of agents over stored candles."""
