"""The command `controller`: what it says when something is missing, and that it waits and ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from alphapulse_local.embedded.process import free_port
from tests.integration.broker_controller.cluster import Cluster

COMMAND = [sys.executable, "-m", "alphapulse_broker", "controller"]
SECRET = "do-not-print-me"


def environment(home: Path, **more: str) -> dict[str, str]:
    url = f"redis://:{SECRET}@127.0.0.1:{free_port()}/0"
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "BROKER_REDIS_URL": url,
        "BROKER_CONTROLLER_PORT": "0",
        **more,
    }


def test_13_help_is_there_without_a_cluster() -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True, timeout=20)

    assert "controller" in done.stdout


def test_13_controller_without_credentials_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        COMMAND, env=environment(tmp_path), capture_output=True, text=True, check=False, timeout=20
    )

    assert done.returncode == 1
    assert "neither a ServiceAccount nor a kubeconfig" in done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr


def test_15_controller_without_an_api_server_waits_and_stops_on_a_signal(tmp_path: Path) -> None:
    kubeconfig = Cluster(port=free_port()).kubeconfig(tmp_path / "kubeconfig")
    with subprocess.Popen(
        COMMAND, env=environment(tmp_path, KUBECONFIG=str(kubeconfig)), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        log = ""
        while "cluster_not_readable" not in log:
            line = process.stderr.readline()
            assert line, log
            log += line
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=20)

    assert process.returncode == 0
    assert time.monotonic() - asked < 3
    assert "Traceback" not in log + rest
    assert SECRET not in log + rest


def test_13_ingress_and_dispatcher_do_without_kopf() -> None:
    script = (
        "import sys; sys.modules['kopf'] = None\n"
        "import alphapulse_broker.__main__, alphapulse_broker.ingress, alphapulse_broker.dispatcher\n"
    )

    subprocess.run([sys.executable, "-c", script], check=True, timeout=20)
