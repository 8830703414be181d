"""Measurements; `make bench-<name>` runs one."""
