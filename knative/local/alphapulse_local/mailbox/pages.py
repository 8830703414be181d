"""The mailbox in a browser: a list, one mail, and both as JSON.

/mailbox             newest mails; ?to=address for one reader's
/mailbox/<id>        one mail
/mailbox/<id>/html   its HTML form alone, without scripts and without anything from elsewhere
/mailbox.json        the list with contents, for programs; ?to=address&limit=n
"""

import uuid
from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import quote, urlsplit

from aiohttp import web

from alphapulse_local.mailbox.letters import Letter, Letters

LIST = "/mailbox"
JSON = "/mailbox.json"

_MOST = 500
_HERE = {"127.0.0.1", "localhost", "::1"}
# What a mail brings along must neither run nor load anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'"
_LETTER_POLICY = "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid #8884; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8884; padding: 1rem; }
iframe { width: 100%; height: 30rem; border: 1px solid #8884; background: #fff; }
dt { font-weight: 600; } dd { margin: 0 0 .4rem; }
"""


def is_mailbox(path: str) -> bool:
    """Tell whether a path belongs to the mailbox."""
    return path in (LIST, JSON) or path.startswith(LIST + "/")


def pages(letters: Letters) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """Return the handler of the mailbox's paths."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if urlsplit("//" + request.headers.get("Host", "")).hostname not in _HERE:
            # A name that somebody points at this machine must not open its mail to their page.
            return web.Response(status=403, text="the mailbox is read on this machine only\n")
        if request.method not in {"GET", "HEAD"}:
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        return _answer(request, letters)

    return answer


def _answer(request: web.BaseRequest, letters: Letters) -> web.Response:
    path = request.path
    to = request.query.get("to") or None
    if path == JSON:
        text = request.query.get("limit", "100")
        limit = min(int(text), _MOST) if text.isascii() and text.isdigit() and int(text) else 100
        return web.json_response(
            {"items": [letter.document() for letter in letters.newest(to=to, limit=limit)]}
        )
    if path.rstrip("/") == LIST:
        return _page("Mailbox", _list(letters.newest(to=to), to=to))
    number, _, form = path.removeprefix(LIST + "/").partition("/")
    try:
        letter = letters.get(uuid.UUID(number))
    except ValueError:
        letter = None
    if letter is None or form not in {"", "html"}:
        return web.Response(status=404, text="there is no such mail\n")
    if form == "html":
        return _html(letter.html, policy=_LETTER_POLICY)
    return _page(letter.subject, _letter(letter))


def _list(found: list[Letter], *, to: str | None) -> str:
    heading = f"to {escape(to)}" if to else "of this platform"
    rows = "".join(
        f"<tr><td>{letter.received_at:%Y-%m-%d %H:%M:%S}</td>"
        f'<td><a href="{LIST}?to={quote(letter.to)}">{escape(letter.to)}</a></td>'
        f'<td><a href="{LIST}/{letter.id}">{escape(letter.subject) or "(no subject)"}</a></td></tr>'
        for letter in found
    )
    table = f"<table><tr><th>Received (UTC)</th><th>To</th><th>Subject</th></tr>{rows}</table>"
    return (
        f"<h1>Mail {heading}</h1><p>No mail leaves this machine: SMTP_URL is not set.</p>"
        f"{table if rows else '<p>There is none yet.</p>'}"
    )


def _letter(letter: Letter) -> str:
    facts = {
        "From": letter.sender,
        "To": letter.to,
        "Received": f"{letter.received_at:%Y-%m-%d %H:%M:%S} UTC",
        "Message-ID": letter.message_id,
    }
    listed = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    frame = f'<iframe sandbox="allow-popups" src="{LIST}/{letter.id}/html" title="HTML form"></iframe>'
    return (
        f'<p><a href="{LIST}">All mail</a></p><h1>{escape(letter.subject)}</h1><dl>{listed}</dl>'
        f"<h2>Text</h2><pre>{escape(letter.text)}</pre>"
        f"{'<h2>HTML</h2>' + frame if letter.html else ''}"
    )


def _page(title: str, body: str) -> web.Response:
    return _html(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><body>{body}',
        policy=_POLICY,
    )


def _html(text: str, *, policy: str) -> web.Response:
    return web.Response(
        text=text,
        content_type="text/html",
        headers={
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )
