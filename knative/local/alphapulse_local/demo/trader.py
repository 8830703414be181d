"""A user of the service, who knows its address and nothing of its inside."""

import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx

_TIMEOUT_SECONDS = 60
_POLL_SECONDS = 0.1
_PROVISIONING_SECONDS = 130


class DemoFailed(RuntimeError):
    """Something did not happen as promised; the message says what."""


class Trader:
    """One tenant's user.

    Parameters
    ----------
    url
        Address of the gateway.
    company
        Name of the tenant to sign up.
    timings
        Filled with (what, milliseconds) of each request.
    """

    def __init__(self, url: str, company: str, timings: list[tuple[str, float]]) -> None:
        self.company = company
        self.email = f"{company.lower()}-{secrets.token_hex(4)}@example.com"
        self._password = secrets.token_urlsafe(18)
        self._timings = timings
        self._http = httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=False)
        self.tenant: dict[str, Any] = {}

    def sign_up(self, *, tier: str) -> dict[str, Any]:
        """Sign up, log in, and return the steps of provisioning once the tenant is active.

        Raises
        ------
        DemoFailed
            Provisioning failed, or did not end in time.
        """
        account = {"email": self.email, "password": self._password}
        accepted = self.post("/auth/signup", {**account, "company": self.company, "tier": tier}, expect=202)
        tokens = self.post("/auth/login", account, expect=200)
        self._http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        provisioned = self.wait_for(
            "login to active tenant",
            accepted["status_url"],
            lambda found: found["status"] in ("active", "failed"),
            seconds=_PROVISIONING_SECONDS,
        )
        if provisioned["status"] != "active":
            raise DemoFailed(f"{self.company} was not provisioned: {provisioned['reason']}")
        self.tenant = self.get("/tenants/me")
        return provisioned

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Return the answer of a read.

        Raises
        ------
        DemoFailed
            The answer is not 200.
        """
        return self._call("GET", path, expect=200, params=query or None)

    def post(self, path: str, body: dict[str, Any], *, expect: int, key: str | None = None) -> dict[str, Any]:
        """Return the answer of a write.

        Raises
        ------
        DemoFailed
            The answer's status is another one than `expect`.
        """
        headers = {} if key is None else {"Idempotency-Key": key}
        return self._call("POST", path, expect=expect, json=body, headers=headers)

    def status_of(self, path: str) -> int:
        """Return the status a read is answered with."""
        return self._http.get(path).status_code

    def wait_for(
        self, what: str, path: str, done: Callable[[dict[str, Any]], bool], *, seconds: float
    ) -> dict[str, Any]:
        """Poll a read until it shows what is wanted.

        Raises
        ------
        DemoFailed
            It did not within `seconds`.
        """
        started = time.perf_counter()
        while True:
            answer = self._call("GET", path, expect=200, timed=False)
            elapsed = time.perf_counter() - started
            if done(answer):
                self._timings.append((what, elapsed * 1000))
                return answer
            if elapsed > seconds:
                raise DemoFailed(f"{what}: not within {seconds:g} s; last answer: {answer}")
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _call(
        self, method: str, path: str, *, expect: int, timed: bool = True, **options: Any
    ) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise DemoFailed(f"{method} {path}: {type(error).__name__}") from error
        if timed:
            self._timings.append(
                (f"{method} {path.split('?', maxsplit=1)[0]}", (time.perf_counter() - started) * 1000)
            )
        if answer.status_code != expect:
            raise DemoFailed(
                f"{method} {path}: expected {expect}, got {answer.status_code}: {answer.text[:500]}"
            )
        document: dict[str, Any] = answer.json()
        return document
