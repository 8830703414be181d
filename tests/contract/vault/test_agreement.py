"""Random policies and random work: the development store answers as a real server does."""

import random
from typing import Any

import pytest

from tests.contract.vault.rig import Rig

_SEGMENTS = ["a", "b", "ab", "+", "*", "c*", "a+"]
_ENDS = ["", "", "/", "*", "/*", "/+"]
_CAPABILITIES = ["read", "list", "create", "update", "delete", "deny", "sudo"]
# Fields that HashiCorp's Vault does not have, or not yet.
_ONLY_OPENBAO = {"current_metadata_version", "metadata_cas_required"}
_POLICIES, _REQUESTS = 25, 12
_STEPS = 300


def _pattern(dice: random.Random) -> str:
    section = dice.choice(["data", "metadata", "data", "metadata", "+", "delete"])
    below = "".join("/" + dice.choice(_SEGMENTS) for _ in range(dice.randint(0, 3)))
    return f"secret/{section}{below}{dice.choice(_ENDS)}"


def _policy(dice: random.Random) -> str:
    blocks = []
    for _ in range(dice.randint(1, 5)):
        capabilities = ", ".join(f'"{name}"' for name in dice.sample(_CAPABILITIES, dice.randint(1, 4)))
        blocks.append(f'path "{_pattern(dice)}" {{ capabilities = [{capabilities}] }}')
    return "\n".join(blocks)


def _request(dice: random.Random) -> tuple[str, str, dict[str, Any] | None]:
    section = dice.choice(["data", "metadata"])
    names = ["a", "b", "ab", "c", "cd", "+"]
    path = f"secret/{section}" + "".join("/" + dice.choice(names) for _ in range(dice.randint(0, 3)))
    method = dice.choice(["GET", "POST", "DELETE", "LIST"])
    bodies: dict[str, dict[str, Any]] = {"data": {"data": {"x": "y"}}, "metadata": {"max_versions": 3}}
    return method, path, bodies[section] if method == "POST" else None


@pytest.mark.parametrize("seed", range(3))
def test_both_grant_and_deny_the_same(both: tuple[Rig, Rig], seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(_POLICIES):
        policy = _policy(dice)
        if "+*" in policy:
            continue  # refused by both, see below
        tokens = [rig.token(policy) for rig in both]
        for _ in range(_REQUESTS):
            method, path, body = _request(dice)
            answers = [
                rig.ask(method, path, body, token=token)[0] for rig, token in zip(both, tokens, strict=True)
            ]
            assert answers[0] == answers[1], f"{method} {path} with\n{policy}"


def test_both_refuse_a_star_after_a_plus(both: tuple[Rig, Rig]) -> None:
    body = {"policy": 'path "secret/+*" { capabilities = ["read"] }'}

    assert [rig.ask("PUT", "sys/policies/acl/test-plus", body)[0] for rig in both] == [400, 400]


def _step(dice: random.Random) -> tuple[str, str, dict[str, Any] | None]:
    """Return a request to one of few secrets, so that what went before matters."""
    name = f"work/{dice.choice('ab')}"
    versions = {"versions": [dice.randint(1, 6) for _ in range(dice.randint(1, 2))]}
    write: dict[str, Any] = {"data": {"x": str(dice.random())}}
    if dice.random() < 0.4:
        write["options"] = {"cas": dice.randint(0, 6)}
    steps: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", f"secret/data/{name}", write),
        ("POST", f"secret/data/{name}", write),
        ("GET", f"secret/data/{name}", None),
        ("GET", f"secret/data/{name}?version={dice.randint(0, 6)}", None),
        ("DELETE", f"secret/data/{name}", None),
        ("POST", f"secret/delete/{name}", versions),
        ("POST", f"secret/undelete/{name}", versions),
        ("POST", f"secret/destroy/{name}", versions),
        ("GET", f"secret/metadata/{name}", None),
        ("LIST", "secret/metadata/work", None),
        ("LIST", "secret/metadata/", None),
    ]
    if dice.random() < 0.1:
        settings = {"max_versions": dice.randint(0, 4), "cas_required": dice.random() < 0.5}
        return "POST", f"secret/metadata/{name}", settings
    if dice.random() < 0.05:
        return "DELETE", f"secret/metadata/{name}", None
    return dice.choice(steps)


def _without_times(value: Any) -> Any:
    """Leave out what differs between two servers by nature."""
    if isinstance(value, dict):
        left_out = {"created_time", "updated_time", *_ONLY_OPENBAO}
        kept = {name: _without_times(each) for name, each in value.items() if name not in left_out}
        if "deletion_time" in kept:
            kept["deletion_time"] = bool(kept["deletion_time"])
        return kept
    return value


@pytest.mark.parametrize("seed", range(3))
def test_both_keep_and_lose_the_same_versions(both: tuple[Rig, Rig], seed: int) -> None:
    dice = random.Random(seed)
    for name in "ab":
        for rig in both:
            rig.ask("DELETE", f"secret/metadata/work/{name}")
    for number in range(_STEPS):
        method, path, body = _step(dice)
        (status, answer), (other_status, other) = (rig.ask(method, path, body) for rig in both)

        where = f"step {number}: {method} {path} {body}"
        assert status == other_status, where
        if status in (200, 404):
            data, other_data = ((each or {}).get("data") for each in (answer, other))
            assert _without_times(data) == _without_times(other_data), where
