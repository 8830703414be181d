"""Run the development store: `python -m alphapulse_local.embedded.secret_store --directory d --port n`."""

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from alphapulse_local.embedded.secret_store.api import SecretStore
from alphapulse_local.embedded.secret_store.http_server import StoreServer

_NOTICE = """\
This is not Vault. It is AlphaPulse's development store of secrets: the part of Vault's HTTP API that the
platform uses, with policies enforced, kept unencrypted in %s. Set VAULT_ADDR to use a real server."""


logger = logging.getLogger("secret-store")


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="secret-store", description="Development store of secrets; not Vault."
    )
    parser.add_argument("--directory", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    options.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    logger.info(_NOTICE, options.directory)
    store = SecretStore(options.directory)
    server = StoreServer(store, port=options.port)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    stop.wait()
    server.shutdown()
    server.server_close()
    store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
