"""Positions, profit and loss, history."""
