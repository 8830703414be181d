"""The SMTP server of the mailbox."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from aiosmtpd.smtp import SMTP, Envelope, Session

from alphapulse_local.mailbox.letters import Letters

_LIMIT_BYTES = 10 * 1024 * 1024


class _Keep:
    def __init__(self, letters: Letters) -> None:
        self._letters = letters

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802 - called by aiosmtpd, by this name
        content = envelope.content or b""
        for recipient in envelope.rcpt_tos:
            self._letters.put(content if isinstance(content, bytes) else content.encode(), to=recipient)
        return "250 kept in the mailbox"


@contextlib.asynccontextmanager
async def receiving(listener: socket.socket, letters: Letters) -> AsyncIterator[None]:
    """Take mail on a port until the block ends."""
    loop = asyncio.get_running_loop()
    handler = _Keep(letters)

    def conversation() -> SMTP:
        return SMTP(
            handler,
            hostname="localhost",
            ident="AlphaPulse mailbox",
            data_size_limit=_LIMIT_BYTES,
            enable_SMTPUTF8=True,
            loop=loop,
        )

    server = await loop.create_server(conversation, sock=listener)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()
