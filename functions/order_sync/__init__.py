"""Settles open and unknown orders against their exchange."""
