"""Code reaches the stores through the tenant-scoped builders only.

Ruff bans the drivers themselves; here is what it cannot see: the builders' own constructors, raw commands
on a scoped connection, and the platform's role in functions whose manifest does not give it to them.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.processes import ROOT, function_names

# Where the builders are built.
BUILDERS = {"runtime/resources.py", "runtime/vault.py"}
CONSTRUCTORS = {
    "Database",
    "PlatformDatabase",
    "CacheConnection",
    "TenantCache",
    "TenantKeyspace",
    "VaultConnection",
    "PlatformVault",
    "LazyPool",
    "redis_client",
}
RAW = {"run", "evaluate", "keys"}
PLATFORM = {"platform", "platform_transaction"}
# Runs in an operator's hands, who brings the address.
OPERATORS = {"functions/accounts/operator.py"}


def breaches(source: str, *, builds: bool = False, platform: bool = False) -> Iterator[str]:
    """Say what a module does that only the tenancy code may do."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in CONSTRUCTORS and not builds:
                yield f"line {node.lineno}: builds {name} itself"
        if isinstance(node, ast.Attribute):
            below = getattr(node.value, "attr", getattr(node.value, "id", ""))
            if node.attr in RAW and below in ("cache", "market_cache"):
                yield f"line {node.lineno}: sends Redis a raw {node.attr}"
            if node.attr in PLATFORM and below in ("resources", "scope", "work") and not platform:
                yield f"line {node.lineno}: works with the platform's role"


def modules(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def holds_platform(function: str) -> bool:
    """Tell whether the manifest gives a function the platform's database."""
    path = ROOT / "knative/base/functions" / f"{function.replace('_', '-')}.yaml"
    (container,) = yaml.safe_load(path.read_text())["spec"]["template"]["spec"]["containers"]
    return "PLATFORM_DATABASE_URL" in {variable["name"] for variable in container["env"]}


@pytest.mark.parametrize("function", sorted(function_names()))
def test_functions_reach_the_stores_through_the_builders_only(function: str) -> None:
    platform = holds_platform(function)
    found = {
        str(path.relative_to(ROOT)): list(breaches(path.read_text(), platform=platform))
        for path in modules(f"functions/{function}")
        if str(path.relative_to(ROOT)) not in OPERATORS
    }

    assert found
    assert {path: said for path, said in found.items() if said} == {}


def test_shared_code_reaches_the_stores_through_the_builders_only() -> None:
    shared = ROOT / "shared/alphapulse"
    found = {
        str(path.relative_to(shared)): list(
            breaches(path.read_text(), builds=str(path.relative_to(shared)) in BUILDERS, platform=True)
        )
        for path in modules("shared/alphapulse")
        if path.relative_to(shared).parts[0] not in ("tenancy", "data")
    }

    assert {path: said for path, said in found.items() if said} == {}


@pytest.mark.parametrize(
    "source",
    [
        "Database(url, application_name='x')",
        "pool.PlatformDatabase(url)",
        "await resources.cache.run('GET', key)",
        "await scope.market_cache.evaluate(script, keys, [])",
        "async with resources.platform.session() as session: pass",
        "async with scope.platform_transaction() as work: pass",
    ],
)
def test_a_way_around_is_seen(source: str) -> None:
    wrapped = "async def f():\n    " + source

    assert list(breaches(wrapped))
