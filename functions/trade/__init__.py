"""Orders: place, cancel, list."""
