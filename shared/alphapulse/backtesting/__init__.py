"""Backtests around the pure code in :mod:`alphapulse.domain.backtest`: requests, data, reports, pictures.

The CLI is ``python -m alphapulse.backtesting --help``; the function ``backtest`` does the same for tenants.
"""
