"""HTTP in front of the store; knows the verb LIST, which most servers refuse."""

import json
import logging
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from alphapulse_local.embedded.secret_store.api import SecretStore
from alphapulse_local.embedded.secret_store.errors import Refused
from alphapulse_local.embedded.secret_store.request import Request

_BODY_LIMIT_BYTES = 1024 * 1024
_OPERATIONS = {
    "GET": "read",
    "HEAD": "read",
    "LIST": "list",
    "POST": "write",
    "PUT": "write",
    "DELETE": "delete",
}

logger = logging.getLogger("secret-store")


class StoreServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1 only."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, store: SecretStore, *, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.store = store


class _Handler(BaseHTTPRequestHandler):
    server: StoreServer
    protocol_version = "HTTP/1.1"
    server_version = "alphapulse-development-secret-store"
    timeout = 120
    # Head and body leave in one packet: two would wait for each other's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        url = urlsplit(self.path)
        try:
            document = self._answered(unquote(url.path), dict(parse_qsl(url.query)))
            status = 200 if document is not None else 204
        except Refused as refused:
            status = refused.status
            document = {"errors": refused.errors} | ({"data": refused.data} if refused.data else {})
        except Exception:
            logger.exception("request failed")
            status, document = 500, {"errors": ["internal error"]}
        self._send(status, document)
        if status >= 400:  # noqa: PLR2004 - refusals; the path names tenants and secrets, never their values
            logger.info("%s %s %d", self.command, url.path, status)

    def _answered(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        body = self._body()
        if not path.startswith("/v1/"):
            raise Refused(404, "only /v1/ is served")
        operation = _OPERATIONS[self.command]
        if operation == "read" and query.get("list") == "true":
            operation = "list"
        request = Request(
            operation=operation,
            path=path.removeprefix("/v1/"),
            body=body,
            query=query,
            token=self._token(),
        )
        return self.server.store.answer(request).document

    def _token(self) -> str:
        bearer = self.headers.get("Authorization", "")
        return self.headers.get("X-Vault-Token") or bearer.removeprefix("Bearer ").strip()

    def _body(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _BODY_LIMIT_BYTES or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            raise Refused(413, "request body too large")
        raw = self.rfile.read(length) if length else b""
        if not raw.strip():
            return {}
        try:
            body = json.loads(raw)
        except ValueError as error:
            raise Refused(400, "failed to parse JSON input") from error
        if not isinstance(body, dict):
            raise Refused(400, "the body must be a JSON object")
        return body

    def _send(self, status: int, document: Mapping[str, Any] | None) -> None:
        body = b"" if document is None else json.dumps(document).encode() + b"\n"
        self.send_response_only(status)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Server", self.version_string())
        if document is not None:
            self.send_header("Content-Type", "application/json")
        if status != 204:  # noqa: PLR2004 - a 204 has no length
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


for _verb in _OPERATIONS:
    setattr(_Handler, f"do_{_verb}", _Handler._handle)  # noqa: SLF001 - the name the base class looks for
