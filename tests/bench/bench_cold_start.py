"""Cold start of every function: from spawning its process to the first 200, beside the bare framework.

The peer is functions-framework's own ASGI server with a function that returns a text. Rounds are
interleaved (each round starts every function once), so that noise of the machine falls on all alike.
Run: `make bench-cold-start`.
"""

import http.client
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from alphapulse_local.embedded.process import free_port
from tests.bench.report import print_table, write_report
from tests.processes import is_http

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 15
TIMEOUT_SECONDS = 30
HELLO = """
import functions_framework.aio

@functions_framework.aio.http
async def main(request):
    return "hello"
"""


@dataclass(frozen=True)
class Candidate:
    """A server to start."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    path: str

    def start_once(self) -> float:
        """Return seconds from spawn to the first 200."""
        port = free_port()
        environment = {"PATH": os.environ["PATH"], "PORT": str(port), **self.environment}
        started = time.perf_counter()
        process = subprocess.Popen(
            [*self.command],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait_for_200(port, process)
            return time.perf_counter() - started
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _wait_for_200(self, port: int, process: subprocess.Popen[bytes]) -> None:
        deadline = time.perf_counter() + TIMEOUT_SECONDS
        while time.perf_counter() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"{self.name} exited with status {process.returncode}")
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
            try:
                connection.request("GET", self.path)
                if connection.getresponse().status == http.client.OK:
                    return
            except ConnectionError:
                time.sleep(0.002)  # not listening yet; a tighter loop would take the server's CPU
            finally:
                connection.close()
        raise RuntimeError(f"{self.name} did not answer within {TIMEOUT_SECONDS} s")


def candidates(folder: Path) -> list[Candidate]:
    """Return the peer and every function of the repository."""
    hello = folder / "main.py"
    hello.write_text(HELLO)
    key = folder / "key.pem"
    private = ec.generate_private_key(ec.SECP256R1())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(encoding, form, serialization.NoEncryption()))
    framework = str(Path(sys.executable).parent / "functions-framework")
    peer = Candidate(
        "functions_framework_hello",
        [framework, "--asgi", "--source", str(hello), "--target", "main"],
        {},
        "/",
    )
    functions = sorted(path.parent.name for path in ROOT.glob("functions/*/app.py"))
    return [peer] + [
        Candidate(
            name,
            [sys.executable, "-m", "alphapulse.serve"],
            {"FUNCTION": name, "HOST": "127.0.0.1", "TOKEN_SIGNING_KEY_FILE": str(key)},
            "/health",
        )
        for name in functions
    ]


def measure(all_: Sequence[Candidate]) -> dict[str, float]:
    """Return the median milliseconds of each candidate."""
    for candidate in all_:
        candidate.start_once()  # writes .pyc files, as an image build does
    times: dict[str, list[float]] = {candidate.name: [] for candidate in all_}
    for _ in range(ROUNDS):
        for candidate in all_:
            times[candidate.name].append(candidate.start_once())
    return {name: round(statistics.median(values) * 1000, 1) for name, values in times.items()}


def main() -> None:
    """Measure, print the table, write the report."""
    with tempfile.TemporaryDirectory() as folder:
        medians = measure(candidates(Path(folder)))
    hello = medians.pop("functions_framework_hello")
    ratios = {name: value / hello for name, value in medians.items()}
    figures: dict[str, float] = {f"{name}_ms": value for name, value in medians.items()}
    figures["functions_framework_hello_ms"] = hello
    figures["worst_event_function_ratio"] = round(max(r for n, r in ratios.items() if not is_http(n)), 2)
    figures["worst_http_function_ratio"] = round(max(r for n, r in ratios.items() if is_http(n)), 2)
    rows = [
        (name, "HTTP" if is_http(name) else "events", f"{value:.0f}", f"{ratios[name]:.2f}")
        for name, value in sorted(medians.items(), key=lambda item: item[1])
    ]
    title = f"Cold start, spawn to first 200, median of {ROUNDS} (bare functions-framework: {hello:.0f} ms)"
    print_table(title, ("function", "kind", "ms", "ratio"), rows)
    write_report("cold-start", figures)


if __name__ == "__main__":
    main()
