"""The functions of the signal flow in process, joined by the real triggers."""

from tests.function.conftest import broker, clock, function_settings, functions, plain_logs, signer

__all__ = ["broker", "clock", "function_settings", "functions", "plain_logs", "signer"]
