"""What the adapters make of an exchange's answers about a key, over real HTTP."""

import base64
import datetime as dt

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from alphapulse.venues import transport
from alphapulse.venues.exchanges import Exchanges
from alphapulse.venues.keys import ApiKeys, KeyPermissions
from alphapulse.venues.protocol import KeyRefused, VenueError, VenueRateLimited, VenueUnavailable
from tests.exchange_simulators import binance as binance_exchange
from tests.exchange_simulators import coinbase as coinbase_exchange
from tests.exchange_simulators import kraken as kraken_exchange
from tests.exchange_simulators.binance import BinanceSimulator
from tests.exchange_simulators.coinbase import CoinbaseSimulator
from tests.exchange_simulators.kraken import KrakenSimulator
from tests.exchange_simulators.server import Simulator

KRAKEN_SECRET = base64.b64encode(b"a secret of sixty-four bytes").decode()
TRADER = KeyPermissions(can_read=True, can_trade=True, can_withdraw=False, ip_restricted=True)


@pytest.fixture
def simulators(
    binance: BinanceSimulator, coinbase: CoinbaseSimulator, kraken: KrakenSimulator
) -> dict[str, Simulator]:
    return {"binance": binance, "coinbase": coinbase, "kraken": kraken}


@pytest.fixture
def keys(
    binance: BinanceSimulator, coinbase: CoinbaseSimulator, kraken: KrakenSimulator
) -> dict[str, ApiKeys]:
    """A good key of each exchange."""
    elliptic = ec.generate_private_key(ec.SECP256R1())
    binance.keys["binance-key"] = binance_exchange.Key("hmac-secret")
    coinbase.keys["coinbase-key"] = coinbase_exchange.Key(elliptic.public_key())
    kraken.keys["kraken-key"] = kraken_exchange.Key(KRAKEN_SECRET, addresses=["10.0.0.1/32"])
    return {
        "binance": ApiKeys("binance-key", "hmac-secret"),
        "coinbase": ApiKeys("coinbase-key", _pem(elliptic)),
        "kraken": ApiKeys("kraken-key", KRAKEN_SECRET),
    }


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


async def test_trading_key_is_recognised_on_each_exchange(
    exchanges: Exchanges, keys: dict[str, ApiKeys]
) -> None:
    found = {name: await exchanges.account(name, key).key_permissions() for name, key in keys.items()}

    # Coinbase does not tell whether a key is bound to addresses.
    unbound = KeyPermissions(can_read=True, can_trade=True, can_withdraw=False)
    assert found == {"binance": TRADER, "coinbase": unbound, "kraken": TRADER}


async def test_withdrawal_permission_is_seen_on_each_exchange(
    exchanges: Exchanges,
    keys: dict[str, ApiKeys],
    binance: BinanceSimulator,
    coinbase: CoinbaseSimulator,
    kraken: KrakenSimulator,
) -> None:
    binance.keys["binance-key"].may_withdraw = True
    coinbase.keys["coinbase-key"].may_withdraw = True
    kraken.keys["kraken-key"].permissions.append("withdraw-funds")

    for name, key in keys.items():
        assert (await exchanges.account(name, key).key_permissions()).names == ("read", "trade", "withdraw")


@pytest.mark.parametrize("permission", ["add-withdraw-address", "update-withdraw-address"])
async def test_kraken_key_that_may_change_withdrawal_addresses_counts_as_withdrawing(
    exchanges: Exchanges, keys: dict[str, ApiKeys], kraken: KrakenSimulator, permission: str
) -> None:
    kraken.keys["kraken-key"].permissions.append(permission)

    assert (await exchanges.account("kraken", keys["kraken"]).key_permissions()).can_withdraw


async def test_kraken_key_that_cannot_cancel_orders_cannot_trade(
    exchanges: Exchanges, keys: dict[str, ApiKeys], kraken: KrakenSimulator
) -> None:
    kraken.keys["kraken-key"].permissions.remove("close-trades")

    assert (await exchanges.account("kraken", keys["kraken"]).key_permissions()).names == ("read",)


async def test_reading_key_is_recognised_on_each_exchange(
    exchanges: Exchanges,
    keys: dict[str, ApiKeys],
    binance: BinanceSimulator,
    coinbase: CoinbaseSimulator,
    kraken: KrakenSimulator,
) -> None:
    binance.keys["binance-key"].may_trade = False
    coinbase.keys["coinbase-key"].may_trade = False
    kraken.keys["kraken-key"].permissions = ["query-funds", "query-open-trades"]

    for name, key in keys.items():
        assert (await exchanges.account(name, key).key_permissions()).names == ("read",)


async def test_ed25519_keys_are_accepted_where_the_exchange_issues_them(
    exchanges: Exchanges, binance: BinanceSimulator, coinbase: CoinbaseSimulator
) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    binance.keys["pem"] = binance_exchange.Key(private.public_key())
    coinbase.keys["raw"] = coinbase_exchange.Key(private.public_key())
    raw = base64.b64encode(private.private_bytes_raw() + private.public_key().public_bytes_raw()).decode()

    for name, key in (("binance", ApiKeys("pem", _pem(private))), ("coinbase", ApiKeys("raw", raw))):
        assert (await exchanges.account(name, key).key_permissions()).can_trade


@pytest.mark.parametrize("exchange", ["binance", "coinbase", "kraken"])
async def test_unknown_key_is_refused(exchanges: Exchanges, keys: dict[str, ApiKeys], exchange: str) -> None:
    stranger = ApiKeys("stranger", keys[exchange].api_secret)

    with pytest.raises(KeyRefused) as refused:
        await exchanges.account(exchange, stranger).key_permissions()

    assert refused.value.code == "key_refused"


async def test_secret_of_another_key_is_refused(exchanges: Exchanges, keys: dict[str, ApiKeys]) -> None:
    others = {
        "binance": "another-secret",
        "coinbase": _pem(ec.generate_private_key(ec.SECP256R1())),
        "kraken": base64.b64encode(b"another").decode(),
    }
    for name, secret in others.items():
        with pytest.raises(KeyRefused):
            await exchanges.account(name, ApiKeys(keys[name].api_key, secret)).key_permissions()


@pytest.mark.parametrize("exchange", ["binance", "coinbase", "kraken"])
@pytest.mark.parametrize("status", [500, 502, 503, 302, 404, 403])
async def test_failing_exchange_says_nothing_about_the_key(
    exchanges: Exchanges,
    keys: dict[str, ApiKeys],
    simulators: dict[str, Simulator],
    exchange: str,
    status: int,
) -> None:
    simulators[exchange].down = status

    with pytest.raises(VenueUnavailable):
        await exchanges.account(exchange, keys[exchange]).key_permissions()


@pytest.mark.parametrize("exchange", ["binance", "coinbase", "kraken"])
async def test_exchange_that_cannot_be_reached_says_nothing_about_the_key(
    exchanges: Exchanges, keys: dict[str, ApiKeys], simulators: dict[str, Simulator], exchange: str
) -> None:
    await simulators[exchange].stop()

    with pytest.raises(VenueUnavailable, match="does not answer"):
        await exchanges.account(exchange, keys[exchange]).key_permissions()


@pytest.mark.parametrize("exchange", ["binance", "coinbase", "kraken"])
async def test_exchange_that_hangs_is_given_up(
    exchanges: Exchanges,
    keys: dict[str, ApiKeys],
    simulators: dict[str, Simulator],
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT_SECONDS", 0.2)
    simulators[exchange].hang = True

    with pytest.raises(VenueUnavailable, match="ReadTimeout"):
        await exchanges.account(exchange, keys[exchange]).key_permissions()


@pytest.mark.parametrize("exchange", ["binance", "coinbase", "kraken"])
@pytest.mark.parametrize("body", [{}, [], {"result": {"permissions": "all"}, "error": []}, "text", None])
async def test_answer_that_is_not_understood_is_not_taken_for_permission(
    exchanges: Exchanges,
    keys: dict[str, ApiKeys],
    simulators: dict[str, Simulator],
    exchange: str,
    body: object,
) -> None:
    simulators[exchange].fail_next = [(200, body)]

    with pytest.raises(VenueUnavailable):
        await exchanges.account(exchange, keys[exchange]).key_permissions()


@pytest.mark.parametrize(
    ("exchange", "failure", "seconds"),
    [
        ("binance", (429, {"code": -1003, "msg": "Too many requests"}), 7),
        ("binance", (418, {"code": -1003, "msg": "banned"}), 7),
        ("binance", (400, {"code": -1015, "msg": "Too many new orders"}), 7),
        ("coinbase", (429, {}), 7),
        ("kraken", (200, {"error": ["EAPI:Rate limit exceeded"]}), 15),
        ("kraken", (200, {"error": ["EGeneral:Temporary lockout"]}), 900),
    ],
)
async def test_rate_limit_is_told_with_the_time_to_wait(
    exchanges: Exchanges,
    keys: dict[str, ApiKeys],
    simulators: dict[str, Simulator],
    exchange: str,
    failure: tuple[int, object],
    seconds: int,
) -> None:
    simulators[exchange].fail_next = [failure]

    with pytest.raises(VenueRateLimited) as limited:
        await exchanges.account(exchange, keys[exchange]).key_permissions()

    assert limited.value.retry_after_seconds == seconds


@pytest.mark.parametrize("minutes", [-10, 10])
@pytest.mark.parametrize("exchange", ["binance", "coinbase"])
async def test_clock_that_differs_from_the_exchange_is_corrected_once(
    exchanges: Exchanges,
    keys: dict[str, ApiKeys],
    simulators: dict[str, Simulator],
    exchange: str,
    minutes: int,
) -> None:
    simulators[exchange].clock_offset = dt.timedelta(minutes=minutes)
    account = exchanges.account(exchange, keys[exchange])

    assert (await account.key_permissions()).can_trade
    first = len(simulators[exchange].requests)
    assert (await account.key_permissions()).can_trade

    assert len(simulators[exchange].requests) == first + 1


async def test_kraken_is_asked_again_when_another_request_overtook_the_nonce(
    exchanges: Exchanges, keys: dict[str, ApiKeys], kraken: KrakenSimulator
) -> None:
    kraken.keys["kraken-key"].last_nonce = 2

    assert (await exchanges.account("kraken", keys["kraken"]).key_permissions()).can_trade


async def test_kraken_key_whose_nonces_are_far_ahead_is_refused_with_the_reason(
    exchanges: Exchanges, keys: dict[str, ApiKeys], kraken: KrakenSimulator
) -> None:
    kraken.keys["kraken-key"].last_nonce = 10**18

    with pytest.raises(KeyRefused) as refused:
        await exchanges.account("kraken", keys["kraken"]).key_permissions()

    assert refused.value.code == "nonce_refused"


@pytest.mark.parametrize("exchange", ["binance", "coinbase", "kraken"])
async def test_no_error_shows_key_secret_or_signature(
    exchanges: Exchanges, keys: dict[str, ApiKeys], simulators: dict[str, Simulator], exchange: str
) -> None:
    secret = keys[exchange].api_secret
    echo = f"{keys[exchange].api_key} {secret} signature"
    failures: list[int | tuple[int, object]] = [
        (400, {"code": -2015, "msg": echo}),
        (401, {"message": echo}),
        (200, {"error": [echo]}),
        (503, {"message": echo}),
    ]
    for failure in failures:
        simulators[exchange].fail_next = [failure]
        with pytest.raises(VenueError) as error:
            await exchanges.account(exchange, keys[exchange]).key_permissions()
        told = f"{error.value!r} {error.value} {error.value.__cause__!r}"
        assert secret not in told
        assert keys[exchange].api_key not in told.replace("EAPI", "")
        assert "signature=" not in told
