"""What a notice says: a text and an HTML form per kind, in files.

`templates/<kind>.txt` begins with the line `Subject: ...`; `templates/<kind>.html` is set into
`templates/layout.html`. Values are cleaned for both and escaped for HTML. A new kind is two files.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from alphapulse.runtime.errors import Invalid

TEMPLATES = Path(__file__).with_name("templates")

_LONGEST_VALUE = 300
# What mail programs turn into a link.
_LINK = re.compile(r"://|www\.|\w\.[a-z]{2,}", re.IGNORECASE)
_QUOTAS = {"cache_bytes": "cache"}
_CONSEQUENCES = {
    "cache_bytes": "When it is full, the entries used longest ago are dropped to make room. Nothing of your"
    " account is lost; some answers take longer."
}
_REFUSED = "When it is used up, requests are refused until it is counted anew."
_MEGABYTE = 1024 * 1024


class UnknownNotice(Invalid):
    """There is no wording for the kind."""

    code = "unknown_notice"


@dataclass(frozen=True, slots=True)
class Wording:
    """A notice in words."""

    subject: str
    text: str
    html: str


def kinds() -> list[str]:
    """Return the kinds there are."""
    return sorted(path.stem for path in TEMPLATES.glob("*.txt"))


def word(
    kind: str, parameters: Mapping[str, str | int], *, company: str, tier: str, public_url: str
) -> Wording:
    """Put a notice into words.

    Parameters
    ----------
    kind
        Which notice.
    parameters
        Facts of the event; `company`, `tier` and `public_url` are not taken from there.

    Raises
    ------
    UnknownNotice
        There is no such kind.
    Invalid
        A parameter that the wording needs is missing.
    """
    if kind not in kinds():
        raise UnknownNotice(f"there is no notice {kind!r}; there are: {', '.join(kinds())}")
    facts = {name: _clean(str(value)) for name, value in parameters.items()} | _of_a_quota(parameters)
    facts |= {"company": _company(company), "tier": tier.capitalize(), "public_url": public_url}
    subject, text, html, layout = _templates(kind)
    escaped = {name: escape(value) for name, value in facts.items()}
    try:
        written = subject.substitute(facts)
        content = html.substitute(escaped)
        return Wording(
            subject=written,
            text=text.substitute(facts),
            html=layout.substitute(escaped, subject=escape(written), content=content),
        )
    except KeyError as missing:
        raise Invalid(
            f"the notice {kind!r} needs the parameter {missing.args[0]!r}", code="parameter_missing"
        ) from missing


@cache
def _templates(kind: str) -> tuple[Template, Template, Template, Template]:
    first, _, text = (TEMPLATES / f"{kind}.txt").read_text().partition("\n")
    html = (TEMPLATES / f"{kind}.html").read_text()
    layout = (TEMPLATES / "layout.html").read_text()
    subject = first.removeprefix("Subject: ")
    return Template(subject), Template(text.lstrip()), Template(html), Template(layout)


def _clean(value: str) -> str:
    """Return one line without characters that hide, break or turn around the text beside them."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())
    return line if len(line) <= _LONGEST_VALUE else line[: _LONGEST_VALUE - 1] + "…"


def _company(name: str) -> str:
    # Anybody can sign up with anybody's address: a name that reads as a link would make our mail theirs.
    return "your company" if _LINK.search(name) else _clean(name)


def _of_a_quota(parameters: Mapping[str, str | int]) -> dict[str, str]:
    quota, used, limit = (parameters.get(name) for name in ("quota", "used", "limit"))
    if not isinstance(quota, str) or not isinstance(used, int) or not isinstance(limit, int) or limit <= 0:
        return {}
    in_bytes = quota.endswith("_bytes")
    shown = {"used": used, "limit": limit}
    return {
        "quota": _QUOTAS.get(quota, _clean(quota.replace("_", " "))),
        "level": "full" if parameters.get("level") == "full" else "almost full",
        "consequence": _CONSEQUENCES.get(quota, _REFUSED),
        "share": f"{100 * used // limit} %",
        **{name: f"{n // _MEGABYTE} MB" if in_bytes else f"{n:,}" for name, n in shown.items()},
    }
