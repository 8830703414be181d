"""What stands in for services outside: a mailbox for a mail server, a simulation for Stripe."""

import contextlib
import secrets
from collections.abc import Mapping

from alphapulse_local.children import Children
from alphapulse_local.embedded.process import free_port
from alphapulse_local.embedded.stripe_simulator import EmbeddedStripe
from alphapulse_local.embedded.stripe_simulator.launcher import PRICES
from alphapulse_local.launch import Reporter
from alphapulse_local.mailbox import Letters, pages, receiving
from alphapulse_local.mailbox.pages import LIST, is_mailbox
from alphapulse_local.ports import Handler, listen
from alphapulse_local.servers import EmbeddedServer, Supervisor
from alphapulse_local.state import StateDirectory

MAIL_FROM = "AlphaPulse <no-reply@alphapulse.localhost>"
_PRICE_VARIABLES = {f"STRIPE_PRICE_{tier.upper()}": price for tier, price in PRICES.items()}


class StandIns:
    """Mail and Stripe as functions find them: what the environment names, or stand-ins.

    Parameters
    ----------
    environment
        `SMTP_URL` (with `MAIL_FROM`) replaces the mailbox; `STRIPE_API_KEY` (with the three
        `STRIPE_PRICE_...`) replaces the simulation.
    public_url
        Where people reach the platform, unless `PUBLIC_URL` says otherwise.
    """

    def __init__(
        self,
        state: StateDirectory,
        environment: Mapping[str, str],
        *,
        public_url: str,
        processes: Children,
        reporter: Reporter,
    ) -> None:
        self._environment = environment
        self._url = public_url
        self._open = contextlib.AsyncExitStack()
        self.supervisors: dict[str, Supervisor] = {}
        self._letters = None if environment.get("SMTP_URL") else Letters(state.path / "mailbox")
        self._smtp_port = free_port()
        self._page = pages(self._letters) if self._letters is not None else None
        self._stripe: EmbeddedStripe | None = None
        if not environment.get("STRIPE_API_KEY"):
            self._stripe = EmbeddedStripe(
                state.path / "stripe",
                api_key=state.secret("stripe-simulator", make=lambda: "sk_test_" + secrets.token_urlsafe(24)),
                port=free_port(),
            )
            server = EmbeddedServer("stripe-simulator", self._stripe, processes=processes)
            self.supervisors[server.name] = Supervisor(server, processes=processes, reporter=reporter)

    def settings(self) -> dict[str, str]:
        """Return what belongs into the functions' ConfigMap."""
        given = self._environment
        stripe = (
            {name: given.get(name, "") for name in ("STRIPE_API_BASE", *_PRICE_VARIABLES)}
            if self._stripe is None
            else {"STRIPE_API_BASE": self._stripe.url, **_PRICE_VARIABLES}
        )
        return {
            "MAIL_FROM": given.get("MAIL_FROM") or MAIL_FROM,
            "PUBLIC_URL": given.get("PUBLIC_URL") or self._url,
            **stripe,
        }

    def secrets(self) -> dict[str, dict[str, str]]:
        """Return the Secrets `smtp` and `stripe`."""
        smtp = self._environment.get("SMTP_URL") or f"smtp://127.0.0.1:{self._smtp_port}"
        key = self._environment["STRIPE_API_KEY"] if self._stripe is None else self._stripe.api_key
        return {"smtp": {"url": smtp}, "stripe": {"api-key": key}}

    def page(self, path: str) -> Handler | None:
        """Return who answers a path of the public gateway before any function does."""
        return self._page if self._page is not None and is_mailbox(path) else None

    async def start(self) -> None:
        """Start the stand-ins."""
        if self._letters is not None:
            listener = self._open.enter_context(contextlib.closing(listen(self._smtp_port)))
            await self._open.enter_async_context(receiving(listener, self._letters))
        for supervisor in self.supervisors.values():
            await supervisor.start()

    async def stop(self) -> None:
        """Stop what was started; mails and customers stay."""
        for supervisor in self.supervisors.values():
            await supervisor.stop()
        await self._open.aclose()

    def notes(self) -> str:
        """Say what is not the real thing, a line each."""
        lines = []
        if self._letters is not None:
            lines.append(
                f"  mail stays on this machine; read it on {self._url}{LIST} (SMTP_URL is not set)\n"
            )
        if self._stripe is not None:
            lines.append("  Stripe is simulated, no money moves (STRIPE_API_KEY is not set)\n")
        return "".join(lines)
