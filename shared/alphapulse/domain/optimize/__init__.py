"""Optimisers: mean-variance, risk parity, hierarchical risk parity, Black-Litterman. All pure."""
