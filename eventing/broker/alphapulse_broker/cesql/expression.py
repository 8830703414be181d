"""Expressions as the broker uses them: compiled once, evaluated per event."""

from collections.abc import Callable
from dataclasses import dataclass

from alphapulse_broker.cesql.casts import Type, name_of
from alphapulse_broker.cesql.errors import EvaluationFailed, InvalidExpression
from alphapulse_broker.cesql.evaluator import Event, compile_node
from alphapulse_broker.cesql.functions import FUNCTIONS, find
from alphapulse_broker.cesql.parser import parse
from alphapulse_broker.cesql.syntax import Call, Node, Value, calls


@dataclass(frozen=True)
class Result:
    """What an expression gives for an event.

    Attributes
    ----------
    value
        Its value; after an error, the value that the specification defines for this case.
    error
        Why there is no proper value.
    """

    value: Value
    error: EvaluationFailed | None = None


class Expression:
    """A compiled expression.

    Parameters
    ----------
    text
        The expression.

    Raises
    ------
    InvalidExpression
        With line, column and what was expected there.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree: Node = parse(text)
        self._evaluate, self.type = compile_node(self.tree)

    def evaluate(self, event: Event) -> Result:
        """Return the value for an event's attributes, failing fast: the first error ends the evaluation."""
        try:
            return Result(self._evaluate(event))
        except EvaluationFailed as error:
            return Result(self._value_after(error), error)

    def matches(self, event: Event) -> bool:
        """Say whether an event passes: the value is true, without any error."""
        try:
            return self._evaluate(event) is True
        except EvaluationFailed:
            return False

    def _value_after(self, error: EvaluationFailed) -> Value:
        outermost = isinstance(self.tree, Call) and error.position == self.tree.position
        if outermost and error.value is not None:
            return error.value
        return (self.type or bool)()


def compile_predicate(text: str) -> Callable[[Event], bool]:
    """Return an expression's test of events whose attributes are text.

    Raises
    ------
    InvalidExpression
        Also where no such event could ever pass: a function is unknown, or the value is no Boolean.
    """
    expression = Expression(text)
    for call in calls(expression.tree):
        if find(call.name, len(call.arguments)) is None:
            raise InvalidExpression(text, call.position, _unknown(call))
    if expression.type is not bool:
        raise InvalidExpression(text, expression.tree.position, _no_boolean(expression.type))
    return expression.matches


def _unknown(call: Call) -> str:
    if call.name in FUNCTIONS:
        return f"function {call.name} does not take {len(call.arguments)} arguments"
    return f"there is no function {call.name}; known: {', '.join(sorted(FUNCTIONS))}"


def _no_boolean(found: Type | None) -> str:
    if found is None:
        return "expected a condition, found an attribute alone; compare it, or test it with EXISTS"
    return f"expected a condition, found a value of type {name_of(found)}"
