"""Mails as files: odd contents, and how many are kept."""

from pathlib import Path

import pytest

from alphapulse_local.mailbox import Letters, letters


def test_the_oldest_mails_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "KEPT", 3)
    box = Letters(tmp_path)
    for number in range(5):
        box.put(f"Subject: {number}\r\n\r\ntext\r\n".encode(), to="ada@example.com")

    assert [letter.subject for letter in box.newest()] == ["4", "3", "2"]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        (b"no header, no body", ""),
        (b"Subject: x\r\n\r\n\xff\xfe\r\n", "\ufffd\ufffd"),
        (b'Content-Type: text/plain; charset="klingon"\r\n\r\nqapla\r\n', "qapla"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n", ""),
        (b"Content-Type: text/html\r\nX-Envelope-To: eve@example.com\r\n\r\n<b>x</b>\r\n", ""),
    ],
)
def test_odd_mails_can_be_read(tmp_path: Path, content: bytes, text: str) -> None:
    letter = Letters(tmp_path).put(content, to="ada@example.com")

    assert letter.to == "ada@example.com"
    assert text in letter.text
    assert letter.document()["id"] == str(letter.id)


def test_mails_are_private(tmp_path: Path) -> None:
    box = Letters(tmp_path / "mailbox")
    box.put(b"Subject: x\r\n\r\ny\r\n", to="ada@example.com")

    (path,) = box.directory.iterdir()
    assert (box.directory.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)
