"""Mails as files: one `.eml` each, named by a time-ordered id."""

import datetime as dt
import os
import uuid
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from uuid_utils.compat import uuid7

KEPT = 1000

# Headers the server adds, as mail servers do, for what is not in the mail itself.
_TO = "X-Envelope-To"
_AT = "X-Received-At"


@dataclass(frozen=True)
class Letter:
    """A mail that came.

    Attributes
    ----------
    to
        The address it was delivered to, whatever its header says.
    text, html
        The two forms of its content; empty when it has none.
    """

    id: uuid.UUID
    received_at: dt.datetime
    sender: str
    to: str
    subject: str
    message_id: str
    text: str
    html: str

    def document(self) -> dict[str, str]:
        """Return it for JSON."""
        return {
            "id": str(self.id),
            "received_at": self.received_at.isoformat(),
            "from": self.sender,
            "to": self.to,
            "subject": self.subject,
            "message_id": self.message_id,
            "text": self.text,
            "html": self.html,
        }


class Letters:
    """The mails in a directory, the newest thousand.

    Parameters
    ----------
    directory
        Created when missing, readable by its owner only: mails hold one-time links.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._read: dict[uuid.UUID, Letter] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, content: bytes, *, to: str) -> Letter:
        """Keep a mail; on return it is on the disk."""
        number = uuid7()
        added = f"{_TO}: {to}\r\n{_AT}: {dt.datetime.now(dt.UTC).isoformat()}\r\n"
        partial = self._path(number).with_suffix(".part")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(added.encode() + content)
        partial.replace(self._path(number))
        self._forget_the_oldest()
        return self._letter(number)

    def newest(self, *, to: str | None = None, limit: int = 100) -> list[Letter]:
        """Return mails, the newest first; those to one address if given."""
        found: list[Letter] = []
        for number in reversed(self._numbers()):
            letter = self._letter(number)
            if to is None or letter.to.lower() == to.lower():
                found.append(letter)
            if len(found) == limit:
                break
        return found

    def get(self, number: uuid.UUID) -> Letter | None:
        """Return one mail; None when there is none."""
        return self._letter(number) if self._path(number).exists() else None

    def _numbers(self) -> list[uuid.UUID]:
        return sorted(uuid.UUID(path.stem) for path in self.directory.glob("*.eml"))

    def _path(self, number: uuid.UUID) -> Path:
        return self.directory / f"{number}.eml"

    def _forget_the_oldest(self) -> None:
        numbers = self._numbers()
        for number in numbers[: max(0, len(numbers) - KEPT)]:
            self._path(number).unlink(missing_ok=True)
            self._read.pop(number, None)

    def _letter(self, number: uuid.UUID) -> Letter:
        if number not in self._read:
            self._read[number] = _parsed(number, self._path(number).read_bytes())
        return self._read[number]


def _parsed(number: uuid.UUID, content: bytes) -> Letter:
    # utf8: an address may be written without encoding (SMTPUTF8).
    message = BytesParser(EmailMessage, policy=policy.default.clone(utf8=True)).parsebytes(content)
    return Letter(
        id=number,
        received_at=dt.datetime.fromisoformat(str(message[_AT])),
        sender=str(message.get("From", "")),
        to=str(message[_TO]),
        subject=str(message.get("Subject", "")),
        message_id=str(message.get("Message-ID", "")).strip(),
        text=_content(message, "plain"),
        html=_content(message, "html"),
    )


def _content(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError):
        # An unknown character set, say: the raw form is better than nothing.
        return part.as_string()
