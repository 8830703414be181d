"""What the gateway answers when a function cannot.

Transient
+-- FunctionUnavailable   503  it did not start, or is backing off after crashes
+-- FunctionCrashed       503  its connection broke before it answered
`-- FunctionTimeout       504  it took longer than its manifest's timeoutSeconds
"""

from alphapulse.runtime.errors import Transient


class FunctionUnavailable(Transient):
    """The function did not start in time, or is backing off after crashes."""

    code = "function_unavailable"
    title = "Function unavailable"


class FunctionCrashed(Transient):
    """The connection to the function broke before it answered; the outcome is not known."""

    code = "function_crashed"
    title = "Function crashed"


class FunctionTimeout(Transient):
    """The function did not answer within its `timeoutSeconds`."""

    status = 504
    code = "function_timeout"
    title = "Function timed out"
