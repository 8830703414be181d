"""Optimisers of portfolios: mean-variance, risk parity, hierarchical risk parity, Black-Litterman. All pure."""
