"""CloudEvents SQL 1.0.0: expressions over the attributes of an event.

References
----------
https://github.com/cloudevents/spec/blob/cesql/v1.0.0/cesql/spec.md
"""

from alphapulse_broker.cesql.errors import CesqlError, ErrorKind, EvaluationFailed, InvalidExpression
from alphapulse_broker.cesql.expression import Expression, Result, compile_predicate

__all__ = [
    "CesqlError",
    "ErrorKind",
    "EvaluationFailed",
    "Expression",
    "InvalidExpression",
    "Result",
    "compile_predicate",
]
