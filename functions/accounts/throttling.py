"""Guessing made slow: attempts are counted per address of an account and per client.

A client from which the account's user has logged in is judged by a count of its own, or strangers who
know nothing but the address of an account could keep its user out. An attempt is counted before it is
judged, so that guesses made at once are counted like guesses made one after the other. Addresses without
an account are counted too: a lock tells nothing. Logins that exist are not touched by a lock, and every
lock ends by itself.
"""

import datetime as dt
import hashlib
import math
import uuid
from dataclasses import dataclass

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.runtime.errors import RateLimited
from alphapulse.runtime.resources import Resources
from functions.accounts.callers import Client

#: How long the client of a login or refresh stays known: what is stored of either goes not much later.
KNOWN_FOR = dt.timedelta(days=30)
_REPORTED_EVERY = dt.timedelta(minutes=1)
_SWEPT_AFTER = dt.timedelta(days=2)

sql = queries.load(__file__, "throttling.sql")


class TooManyAttempts(RateLimited):
    """The account's address or the client is locked for a while."""

    code = "too_many_attempts"
    title = "Too many attempts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How attempts are slowed.

    Attributes
    ----------
    free
        The attempt from which on each is followed by a lock.
    first, longest
        The first lock; each next one is twice as long, up to the longest.
    forgotten_after
        Time without attempts after which counting begins anew.
    """

    free: int
    first: dt.timedelta
    longest: dt.timedelta
    forgotten_after: dt.timedelta

    def lock(self, attempts: int) -> dt.timedelta | None:
        """Return the lock that follows an attempt."""
        beyond = attempts - self.free
        if beyond < 0:
            return None
        return min(self.longest, self.first * (1 << min(beyond, 30)))


_DAY = dt.timedelta(days=1)
_LONGEST = dt.timedelta(minutes=15)
ACCOUNT = Policy(free=10, first=dt.timedelta(seconds=1), longest=_LONGEST, forgotten_after=_DAY)
# An office shares an address.
CLIENT = Policy(
    free=100, first=dt.timedelta(seconds=1), longest=_LONGEST, forgotten_after=dt.timedelta(hours=1)
)
# Anybody may ask for a mail to anybody: a longer lock would keep people from the way back in.
MAILS = Policy(free=3, first=dt.timedelta(minutes=5), longest=dt.timedelta(hours=1), forgotten_after=_DAY)


async def begin(resources: Resources, email: str, client: Client) -> str:
    """Count an attempt at an account; return the key of the count that judges it.

    Raises
    ------
    TooManyAttempts
        The account's address or the client is locked. An attempt at a locked address is counted all the
        same; one of a locked client is not, or it could go on to lock the accounts of others.
    """
    now = resources.clock()
    async with resources.platform.session() as session:
        until = await sql.locked_until(session, key=_client_key(client), now=now)
        known = await sql.is_known(session, email=email, address=client.address, since=now - KNOWN_FOR)
        key = known_key(email, client.address) if known else account_key(email)
        if until is None:
            until = await charge(session, key, ACCOUNT, now=now)
    if until is not None:
        raise refusal(until, now)
    return key


async def failed(resources: Resources, client: Client) -> None:
    """Count a failure of a client."""
    now = resources.clock()
    async with resources.platform.session() as session:
        await charge(session, _client_key(client), CLIENT, now=now)
        await sql.sweep(session, before=now - _SWEPT_AFTER)


async def refund(resources: Resources, key: str) -> None:
    """Take an attempt back that was no guess."""
    async with resources.platform.session() as session:
        await sql.refund(session, key=key)


async def succeeded(session: Session, key: str) -> None:
    """Forget the attempts of a count: whoever knows the password has come."""
    await sql.clear(session, key=key)


async def forgive(session: Session, email: str, *, tenant_id: uuid.UUID, user_id: uuid.UUID) -> None:
    """Forget all attempts at an account, those of its known clients too."""
    known = sql.addresses(session, tenant_id=tenant_id, user_id=user_id)
    keys = [known_key(email, row["address"]) async for row in known]
    await sql.clear_all(session, keys=[account_key(email), *keys])


async def unreported(session: Session, key: str, *, now: dt.datetime) -> int | None:
    """Return how many attempts failed so far, None if that was asked less than a minute ago."""
    count: int | None = await sql.report(session, key=key, now=now, earlier=now - _REPORTED_EVERY)
    return count


async def charge(session: Session, key: str, policy: Policy, *, now: dt.datetime) -> dt.datetime | None:
    """Count an attempt; return until when it is refused, None if it is let through."""
    found = await sql.charge(session, key=key, now=now)
    locked_until: dt.datetime | None = found["locked_until"]
    if locked_until is not None and locked_until > now:
        return locked_until
    forgotten = found["last_attempt_at"] < now - policy.forgotten_after
    attempts = 1 if forgotten else found["attempts"]
    lock = policy.lock(attempts)
    await sql.admit(
        session, key=key, attempts=attempts, locked_until=None if lock is None else now + lock, now=now
    )
    return None


def account_key(email: str, *, of: str = "account") -> str:
    """Return the key of an address, which does not show it."""
    return f"{of}:{hashlib.sha256(email.lower().encode()).hexdigest()}"


def known_key(email: str, address: str) -> str:
    """Return the key of a known client's attempts at an account, which shows neither."""
    return account_key(f"{email}\0{address}", of="known")


def refusal(until: dt.datetime, now: dt.datetime) -> TooManyAttempts:
    """Return the error of an attempt that is refused."""
    seconds = max(1, math.ceil((until - now).total_seconds()))
    return TooManyAttempts("too many attempts; try again later", retry_after_seconds=seconds)


def _client_key(client: Client) -> str:
    return f"client:{client.address}"
