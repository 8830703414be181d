"""How the demonstration looks."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

_COLOURS = {"buy": "green", "sell": "red", "hold": "yellow", "filled": "green", "open": "yellow"}
_SHOWN_INPUTS = 4


class Pages:
    """Prints chapters and tables."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True)

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._out.print(f"\n[bold cyan]{title}[/]")

    def note(self, text: str) -> None:
        """Print a remark."""
        self._out.print(f"  {text}", markup=False)

    def fail(self, text: str) -> None:
        """Tell why the demonstration failed."""
        self._out.print(f"\nFAILED: {text}", style="bold red", markup=False)

    def tenant(self, tenant: dict[str, Any]) -> None:
        """Show a new tenant."""
        self.note(f"{tenant['company']}: tier {tenant['tier']}, {tenant['status']}, id {tenant['id']}")

    def provisioning(self, steps: Sequence[dict[str, Any]]) -> None:
        """Show what was made for a new tenant."""
        took = ", ".join(f"{step['step']} {step['milliseconds']} ms" for step in steps)
        self.note(f"  provisioned: {took}")

    def market(self, ticker: dict[str, Any], candles: dict[str, Any]) -> None:
        """Show the market data that is traded on."""
        items = candles["items"]
        source = "SIMULATED prices" if ticker["source"] == "simulated" else f"source: {ticker['source']}"
        self.note(
            f"market: {ticker['symbol']} at {_short(ticker['price'])} ({source}), {len(items)} bars of"
            f" {candles['interval']}, last opened {items[-1]['open_time']}"
        )
        missing = sum(gap["missing"] for gap in candles["gaps"])
        if missing:
            self.note(f"gaps: {missing} bars are missing in {len(candles['gaps'])} places; none is made up")

    def signal(self, signal: dict[str, Any]) -> None:
        """Show one agent's signal with its reasons."""
        if signal["abstained"]:
            self._out.print(f"  {signal['agent']} abstains")
        else:
            colour = _COLOURS[signal["signal"]]
            self._out.print(
                f"  {signal['agent']}: [bold {colour}]{signal['signal']}[/]"
                f" (score {signal['score']:+.3f}, confidence {signal['confidence']:.2f})"
            )
        for reason in signal["reasons"]:
            self.note(f"  - {reason}")
        for item in (signal.get("inputs") or [])[:_SHOWN_INPUTS]:
            self.note(f"    {item['name']} = {item['value']} (as of {item['as_of']}, {item['source']})")

    def consensus(self, consensus: dict[str, Any]) -> None:
        """Show the consensus."""
        colour = _COLOURS[consensus["signal"]]
        quorum = "" if consensus["quorum"] else " (no quorum)"
        self._out.print(
            f"  consensus: [bold {colour}]{consensus['signal']}[/]"
            f" (score {float(consensus['score']):+.3f}){quorum}"
        )

    def backtest(self, headline: dict[str, Any], picture_url: str) -> None:
        """Show how an agent would have done."""
        self.note(
            f"{headline['bars']} bars, {headline['trades']} trades, fees {_short(headline['fees'])}: return"
            f" {headline['total_return']:+.1%}, buy and hold {headline['buy_and_hold_return']:+.1%},"
            f" deepest fall {headline['max_drawdown']:.1%}"
        )
        self.note(f"the picture: {picture_url}")

    def trades(self, trades: Sequence[dict[str, Any]]) -> None:
        """Show orders."""
        table = _table("side", "type", "quantity", "price", "status", "average", "fee")
        for trade in trades:
            fee = trade["fee"] or {"amount": "0", "currency": ""}
            table.add_row(
                f"[{_COLOURS[trade['side']]}]{trade['side']}[/]",
                trade["type"],
                _short(trade["quantity"]),
                _short(trade["price"]),
                f"[{_COLOURS.get(trade['status'], 'white')}]{trade['status']}[/]",
                _short(trade["average_price"]),
                f"{_short(fee['amount'])} {fee['currency']}",
            )
        self._out.print(table)

    def portfolio(self, portfolio: dict[str, Any], history: Sequence[dict[str, Any]]) -> None:
        """Show positions and totals."""
        table = _table("symbol", "quantity", "average", "last", "value", "realised", "unrealised")
        for position in portfolio["positions"]:
            table.add_row(
                position["symbol"],
                *(
                    _short(position[name])
                    for name in (
                        "quantity",
                        "average_price",
                        "last_price",
                        "market_value",
                        "realised_pnl",
                        "unrealised_pnl",
                    )
                ),
            )
        self._out.print(table)
        cash = ", ".join(f"{_short(amount)} {currency}" for currency, amount in portfolio["cash"].items())
        self.note(
            f"equity {_short(portfolio['equity'])} {portfolio['currency']}, cash {cash},"
            f" realised {_short(portfolio['realised_pnl'])},"
            f" unrealised {_short(portfolio['unrealised_pnl'])}, today {_short(portfolio['day_pnl'])};"
            f" {len(history)} snapshot(s) in the history"
        )

    def proof(self, request: str, answer: str) -> None:
        """Show one thing another tenant does not see."""
        self._out.print(f"  [green]✓[/] {request}: {answer}")

    def timings(self, timings: Sequence[tuple[str, float]]) -> None:
        """Show how long things took, the first (cold) and the later (warm) ones apart."""
        table = _table("what", "first ms", "fastest later ms", "times")
        grouped: dict[str, list[float]] = {}
        for what, milliseconds in timings:
            grouped.setdefault(_without_ids(what), []).append(milliseconds)
        for what, values in grouped.items():
            later = f"{min(values[1:]):.1f}" if values[1:] else ""
            table.add_row(what, f"{values[0]:.1f}", later, str(len(values)))
        self._out.print(table)


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=True, header_style="dim")


def _short(value: str | None) -> str:
    """Return a decimal text with at most eight decimals and no trailing zeros."""
    if value is None:
        return "-"
    text = f"{Decimal(value).quantize(Decimal('0.00000001')):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _without_ids(what: str) -> str:
    return "/".join("{id}" if part.count("-") == 4 else part for part in what.split("/"))  # noqa: PLR2004 - a UUID
