"""Pure trading domain: no I/O, no clock, no settings."""
