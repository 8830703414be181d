"""A tenant's key to an exchange, what the exchange lets it do, and how that is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """An API key with its secret, as an exchange issued them.

    Attributes
    ----------
    api_key : str
        Names the key; sent with every request.
    api_secret : str
        Signs requests; never sent. What it looks like is the exchange's affair: text for HMAC, a PEM
        document or base64.
    passphrase : str, optional
        Opens an encrypted PEM document.
    """

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    passphrase: str | None = field(default=None, repr=False)

    @classmethod
    def from_secret(cls, data: Mapping[str, str]) -> Self:
        """Read what Vault holds at `exchanges/<exchange>`."""
        return cls(data["api_key"], data["api_secret"], data.get("passphrase"))

    def to_secret(self) -> dict[str, str]:
        """Return what Vault holds at `exchanges/<exchange>`."""
        data = {"api_key": self.api_key, "api_secret": self.api_secret}
        return data if self.passphrase is None else data | {"passphrase": self.passphrase}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPermissions:
    """What an exchange lets a key do.

    Attributes
    ----------
    can_read, can_trade, can_withdraw : bool
        See balances and orders; place and cancel orders; move funds out of the account.
    ip_restricted : bool, optional
        Whether the key works from listed addresses only; None when the exchange does not say.
    """

    can_read: bool
    can_trade: bool
    can_withdraw: bool
    ip_restricted: bool | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What the key may do: of `read`, `trade`, `withdraw`."""
        granted = {"read": self.can_read, "trade": self.can_trade, "withdraw": self.can_withdraw}
        return tuple(name for name, may in granted.items() if may)


class KeyedAccount(Protocol):
    """An account that is reached with a key."""

    name: str

    async def key_permissions(self) -> KeyPermissions:
        """Ask the exchange what the key may do; changes nothing there.

        Raises
        ------
        alphapulse.venues.protocol.KeyRefused
            The exchange does not accept the key.
        alphapulse.venues.protocol.VenueUnavailable
            The exchange could not be asked, which says nothing about the key.
        """
