"""Tickers and candles."""
