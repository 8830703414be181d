"""A real SMTP server for tests, which can be down and can refuse people."""

import asyncio
import contextlib
import socket
from pathlib import Path

from alphapulse.runtime.settings import Secret
from alphapulse_local.embedded.process import free_port
from alphapulse_local.mailbox import Letter, Letters, receiving

_DEADLINE_SECONDS = 5


class Mailbox:
    """Keeps the mails it is sent; `smtp_url` and `mail_from` are a function's settings."""

    mail_from = "AlphaPulse <no-reply@alphapulse.test>"

    def __init__(self, directory: Path) -> None:
        self.letters = Letters(directory)
        self.port = free_port()
        self._open: contextlib.AsyncExitStack | None = None

    @property
    def smtp_url(self) -> Secret:
        return Secret(f"smtp://127.0.0.1:{self.port}")

    async def up(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self._open = contextlib.AsyncExitStack()
        await self._open.enter_async_context(receiving(listener, self.letters))

    async def down(self) -> None:
        """Stop taking mail; nobody listens on the port until `up`."""
        if self._open is not None:
            await self._open.aclose()
            self._open = None

    def to(self, address: str) -> list[Letter]:
        """Mails to an address, the newest first."""
        return self.letters.newest(to=address)

    async def wait_for(self, address: str, *, count: int = 1) -> list[Letter]:
        """Return the mails to an address once there are at least `count`, the newest first."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while len(found := self.to(address)) < count:
                await asyncio.sleep(0.01)
        return found
