"""What an API key's scopes let through."""

import pytest

from alphapulse.tenancy.scopes import SCOPES, permits


@pytest.mark.parametrize(
    ("scopes", "method", "path", "expected"),
    [
        ((), "POST", "/anything", True),
        (("read",), "GET", "/portfolio", True),
        (("read",), "GET", "/trades/1", True),
        (("read",), "POST", "/trades", False),
        (("read",), "GET", "/credentials", False),
        (("read",), "GET", "/tenants/me/users", False),
        (("read",), "GET", "/auth/sessions", False),
        (("trade",), "POST", "/trades", True),
        (("trade",), "GET", "/trades", True),
        (("trade",), "POST", "/trading/halt", True),
        (("trade",), "GET", "/portfolio", False),
        (("trade",), "POST", "/agents/run", False),
        (("agents",), "POST", "/agents/run", True),
        (("risk",), "POST", "/risk/limits", True),
        (("credentials",), "DELETE", "/credentials/1", True),
        (("account",), "GET", "/tenants/me", True),
        (("account",), "POST", "/subscription/cancel", True),
        (tuple(SCOPES), "POST", "/unheard-of", False),
        (tuple(SCOPES), "POST", "//trades", False),
        (tuple(SCOPES), "POST", "/TRADES", False),
        (tuple(SCOPES), "POST", "/trades-and-more", False),
        (("trade",), "DELETE", "", False),
    ],
)
def test_scopes_by_first_path_segment(
    scopes: tuple[str, ...], method: str, path: str, expected: bool
) -> None:
    assert permits(frozenset(scopes), method=method, path=path) is expected
