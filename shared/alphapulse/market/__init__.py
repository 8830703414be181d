"""Shared market data: instruments, candles and tickers, in PostgreSQL and the shared cache."""
