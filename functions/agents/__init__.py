"""Agent runs, signals, consensus and configuration."""
