"""Consensus of the agents of a run."""
