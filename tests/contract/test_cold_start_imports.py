"""What a function may import before its first request: cold start is a figure of every function.

Timing belongs to `make bench-cold-start`; here is what holds on any machine: modules that must not
be loaded at start, and a budget of modules in all.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, function_names, is_http, minimal_environment

# Each costs 15 to 700 ms and is needed by some requests only, or never.
_NEVER_AT_START = {
    "aiohttp",
    "aiosql",
    "alembic",
    "argon2",
    "asyncpg",
    "cloudevents",
    "flask",
    "functions_framework",
    "hvac",
    "httpx",
    "jwt",
    "numpy",
    "matplotlib",
    "prometheus_client",
    "pydantic_settings",
    "pyotp",
    "redis",
    "requests",
    "scipy",
    "sqlalchemy",
    "stripe",
    "vaderSentiment",
}
# The function that signs tokens reads its key at start, so that a bad key is seen at once.
_ALLOWED = {"accounts": {"jwt"}}
_MODULES_OF_EVENT_FUNCTIONS = 560
_MODULES_OF_HTTP_FUNCTIONS = 760

_START = """
import json, sys
import uvicorn, uvloop, httptools
from alphapulse.runtime.logs import configure_logs
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.serving import serving_app
from alphapulse.runtime.settings import Settings

settings = Settings.from_environment()
configure_logs(function=settings.function, level=settings.log_level)
serving_app(Resources(settings))
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture(scope="module", params=function_names())
def function(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def loaded(function: str, signing_key: bytes, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    key: Path = tmp_path_factory.mktemp("key") / "key.pem"
    key.write_bytes(signing_key)
    environment = {"FUNCTION": function, "TOKEN_SIGNING_KEY_FILE": str(key), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _START],
        env=minimal_environment() | environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_nothing_heavy_is_imported_before_the_first_request(function: str, loaded: set[str]) -> None:
    forbidden = _NEVER_AT_START - _ALLOWED.get(function, set())

    assert set() == forbidden & loaded


def test_an_event_function_does_without_fastapi(function: str, loaded: set[str]) -> None:
    assert is_http(function) == ("fastapi" in loaded)


def test_the_function_stays_within_its_budget_of_modules(function: str, loaded: set[str]) -> None:
    budget = _MODULES_OF_HTTP_FUNCTIONS if is_http(function) else _MODULES_OF_EVENT_FUNCTIONS

    assert len(loaded) <= budget
