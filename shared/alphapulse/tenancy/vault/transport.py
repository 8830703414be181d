"""hvac, off the event loop: every request to Vault runs in a small pool of threads.

hvac is imported by the first request, in its thread: 190 ms that an idle function does not pay.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from alphapulse.tenancy.vault.errors import CasMismatch, VaultDenied, VaultError, VaultUnavailable

if TYPE_CHECKING:
    from hvac.adapters import JSONAdapter

Result = TypeVar("Result")
Request = Callable[["JSONAdapter"], Result]

_CONNECT_TIMEOUT_SECONDS = 2.0
_ANSWER_TIMEOUT_SECONDS = 5.0
_PAUSE_AFTER_SILENCE_SECONDS = 2.0
_THREADS = 4


@dataclass(frozen=True, slots=True)
class VaultServer:
    """Where Vault answers.

    Attributes
    ----------
    address
        `https://host:port`; plain HTTP is for development.
    ca_file
        Certificates to trust instead of the system's.
    namespace
        Of Vault Enterprise or OpenBao; None for the root namespace.
    """

    address: str
    ca_file: Path | None = None
    namespace: str | None = None


class VaultTransport:
    """Runs requests against one Vault.

    Attributes
    ----------
    requests_sent
        HTTP requests so far, logins and renewals included.
    """

    def __init__(self, server: VaultServer) -> None:
        self._server = server
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="vault")
        self._threads = threading.local()
        self._sessions: list[Any] = []
        self._silent_until = 0.0
        self.requests_sent = 0

    async def send(self, request: Request[Result], *, token: str | None, what: str) -> Result:
        """Run `request` in a thread.

        Parameters
        ----------
        request
            Gets an hvac adapter that carries `token`; anything blocking is allowed in it.
        what
            Said in the message of an error.

        Raises
        ------
        VaultUnavailable, VaultDenied, CasMismatch, VaultError
            See `alphapulse.tenancy.vault.errors`.
        """
        self.requests_sent += 1
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._blocking, request, token, what)

    async def close(self) -> None:
        """Let requests under way end, then give threads and connections free."""
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)
        while self._sessions:
            self._sessions.pop().close()

    def _blocking(self, request: Request[Result], token: str | None, what: str) -> Result:
        # A requests session is not for several threads at once, so each thread keeps its own.
        session: Any = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = _new_session(self._server)
            self._sessions.append(session)
        # Requests that waited for a thread do not each wait for a server that is known to be silent.
        if time.monotonic() < self._silent_until:
            raise VaultUnavailable(f"Vault was silent a moment ago: {what}")
        try:
            return _run(request, self._server, token, session, what)
        except VaultSilent:
            self._silent_until = time.monotonic() + _PAUSE_AFTER_SILENCE_SECONDS
            raise


class VaultSilent(VaultUnavailable):
    """It accepted a request, or not even that, and time ran out."""


def blocking(server: VaultServer, token: str, request: Request[Result], *, what: str) -> Result:
    """Run `request` here and now; for commands, which have no event loop to spare.

    Raises
    ------
    VaultUnavailable, VaultDenied, CasMismatch, VaultError
        See `alphapulse.tenancy.vault.errors`.
    """
    with _new_session(server) as session:
        return _run(request, server, token, session, what)


def _run(request: Request[Result], server: VaultServer, token: str | None, session: Any, what: str) -> Result:
    from hvac.adapters import JSONAdapter  # noqa: PLC0415 - 190 ms, by the first request in its thread
    from hvac.exceptions import VaultError as HvacError  # noqa: PLC0415 - as above
    from requests.exceptions import RequestException, Timeout  # noqa: PLC0415 - as above

    adapter = JSONAdapter(
        base_uri=server.address,
        token=token,
        session=session,
        verify=session.verify,
        timeout=(_CONNECT_TIMEOUT_SECONDS, _ANSWER_TIMEOUT_SECONDS),
        namespace=server.namespace,
        # A token never follows a redirect to another host.
        allow_redirects=False,
    )
    try:
        return request(adapter)
    except HvacError as error:
        raise _translated(error, what) from error
    except Timeout as error:
        raise VaultSilent(f"Vault is silent: {what}") from error
    except (RequestException, OSError) as error:
        raise VaultUnavailable(f"Vault does not answer: {what} ({type(error).__name__})") from error
    except (KeyError, TypeError, AttributeError) as error:
        # A redirect, or a page of something that is not Vault.
        raise VaultUnavailable(f"Vault's answer cannot be read: {what}") from error


def _new_session(server: VaultServer) -> Any:
    import requests  # noqa: PLC0415 - see `_run`

    session = requests.Session()
    session.trust_env = False  # no proxy and no .netrc between a function and Vault
    session.verify = str(server.ca_file) if server.ca_file is not None else True
    return session


def _translated(error: Any, what: str) -> VaultError:
    """Return our error for hvac's; the server's text stays out of it, but for check-and-set."""
    from hvac import exceptions  # noqa: PLC0415 - error path only

    if isinstance(error, (exceptions.Forbidden, exceptions.Unauthorized)):
        return VaultDenied(f"Vault denies it: {what}")
    if isinstance(error, exceptions.InvalidRequest):
        if "check-and-set" in str(error.args[0]):
            return CasMismatch(f"the secret has another version: {what}")
        return VaultError(f"Vault refuses it: {what}")
    if isinstance(error, exceptions.InvalidPath):
        return VaultError(f"Vault has nothing there: {what}")
    return VaultUnavailable(f"Vault fails: {what} ({type(error).__name__})")
