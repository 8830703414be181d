"""What a set of policies allows: the most specific pattern decides, and `deny` wins.

References
----------
Priority of patterns: https://developer.hashicorp.com/vault/docs/concepts/policies (policy syntax).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from alphapulse_local.embedded.secret_store.hcl import InvalidHcl, blocks

CAPABILITIES = frozenset({"create", "read", "update", "delete", "list", "patch", "sudo", "deny"})
_ATTRIBUTES = {"capabilities", "allowed_parameters", "denied_parameters", "required_parameters"}


@dataclass(frozen=True)
class Rule:
    """One `path` block."""

    pattern: str
    capabilities: frozenset[str]
    allowed: Mapping[str, list[Any]] = field(default_factory=dict)
    denied: Mapping[str, list[Any]] = field(default_factory=dict)
    required: frozenset[str] = frozenset()

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """The pattern: `+` is one segment, `*` at the end is anything."""
        body = self.pattern.removesuffix("*")
        segments = ["[^/]*" if segment == "+" else re.escape(segment) for segment in body.split("/")]
        return re.compile("/".join(segments) + (".*" if self.pattern.endswith("*") else ""), re.DOTALL)

    @property
    def wild(self) -> bool:
        """Whether it can match more than one path."""
        return self.pattern.endswith("*") or "+" in self.pattern.split("/")

    @property
    def priority(self) -> tuple[int, bool, int, int, str]:
        """Greater is more specific."""
        plus = re.search(r"(?:^|/)(\+)(?:/|$|\*)", self.pattern)
        star = len(self.pattern) - 1 if self.pattern.endswith("*") else len(self.pattern)
        first = min(plus.start(1) if plus else len(self.pattern), star)
        segments = self.pattern.split("/").count("+")
        return (first, not self.pattern.endswith("*"), -segments, len(self.pattern), self.pattern)


def rules(policy: str) -> list[Rule]:
    """Read a policy.

    Raises
    ------
    InvalidHcl
        The text, a capability or an attribute is not known here.
    """
    return [_rule(kind, pattern, attributes) for kind, pattern, attributes in blocks(policy)]


def allows(held: Iterable[Rule], path: str, capability: str, body: Mapping[str, Any]) -> bool:
    """Say whether rules allow an operation with these parameters."""
    deciding = _deciding(list(held), path, listing=capability == "list")
    granted = frozenset().union(*(rule.capabilities for rule in deciding))
    if "deny" in granted or capability not in granted:
        return False
    if capability not in ("create", "update", "patch"):
        return True
    return _parameters_allowed(deciding, body)


def holds_sudo(held: Iterable[Rule], path: str) -> bool:
    """Say whether rules grant `sudo` there."""
    granted = frozenset().union(*(rule.capabilities for rule in _deciding(list(held), path, listing=False)))
    return "sudo" in granted and "deny" not in granted


def _rule(kind: str, pattern: str, attributes: dict[str, Any]) -> Rule:
    if kind != "path":
        raise InvalidHcl(f"expected path, found {kind}")
    if "{{" in pattern:
        raise InvalidHcl("the development store does not support templated paths")
    if "+*" in pattern:
        raise InvalidHcl(f"path {pattern}: '+*' is forbidden")
    unknown = sorted(set(attributes) - _ATTRIBUTES)
    if unknown:
        raise InvalidHcl(f"path {pattern}: unknown {', '.join(unknown)}")
    capabilities = frozenset(attributes.get("capabilities", []))
    if capabilities - CAPABILITIES:
        raise InvalidHcl(f"path {pattern}: unknown capability")
    return Rule(
        pattern=pattern.removeprefix("/"),
        capabilities=capabilities,
        allowed={name.lower(): values for name, values in attributes.get("allowed_parameters", {}).items()},
        denied={name.lower(): values for name, values in attributes.get("denied_parameters", {}).items()},
        required=frozenset(name.lower() for name in attributes.get("required_parameters", [])),
    )


def _deciding(held: list[Rule], path: str, *, listing: bool) -> list[Rule]:
    """Return the rules of the one pattern that decides about a path."""
    exact = [rule for rule in held if not rule.wild and rule.pattern == path]
    if not exact and listing:
        exact = [rule for rule in held if not rule.wild and rule.pattern == path.removesuffix("/")]
    if exact:
        return exact
    matching = [rule for rule in held if rule.wild and rule.expression.fullmatch(path)]
    if not matching and listing:
        bare = path.removesuffix("/")
        matching = [rule for rule in held if rule.wild and rule.expression.fullmatch(bare)]
    if not matching:
        return []
    best = max(matching, key=lambda rule: rule.priority).pattern
    return [rule for rule in matching if rule.pattern == best]


def _parameters_allowed(deciding: list[Rule], body: Mapping[str, Any]) -> bool:
    sent = {name.lower(): value for name, value in body.items()}
    if any(rule.required - set(sent) for rule in deciding):
        return False
    for rule in deciding:
        for name, values in rule.denied.items():
            if name == "*" or (name in sent and _within(sent[name], values)):
                return False
    # A grant without a list of parameters allows all of them.
    if any(not rule.allowed for rule in deciding):
        return True
    return all(any(_names(rule.allowed, name, value) for rule in deciding) for name, value in sent.items())


def _names(allowed: Mapping[str, list[Any]], name: str, value: Any) -> bool:
    if name in allowed:
        return _within(value, allowed[name])
    return "*" in allowed


def _within(value: Any, values: list[Any]) -> bool:
    return not values or any(_equal(value, pattern) for pattern in values)


def _equal(value: Any, pattern: Any) -> bool:
    if isinstance(value, str) and isinstance(pattern, str) and "*" in pattern:
        return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), value, re.DOTALL) is not None
    return bool(value == pattern)
