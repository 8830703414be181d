"""Who calls, beyond the principal: the client of a request, and people as distinct from API keys."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from alphapulse.runtime.errors import NotPermitted
from alphapulse.runtime.http import TenantScope
from alphapulse.runtime.rate_limits import address_of
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.principal import Principal, Role

_AGENT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Client:
    """What a person recognises a login by.

    Attributes
    ----------
    address
        An IPv4 address or an IPv6 /64 network.
    agent
        The program, as it calls itself.
    """

    address: str
    agent: str


def client_of(request: Request, resources: Resources) -> Client:
    """Return the client of a request."""
    agent = "".join(c for c in request.headers.get("user-agent", "") if c.isprintable())
    address = address_of(request.scope, resources.settings)
    return Client(address=address, agent=agent[:_AGENT_CHARACTERS])


def principal_of(scope: Scope) -> Principal:
    """Return who calls a tenant route."""
    if scope.principal is None:
        raise RuntimeError("a tenant route has a principal")
    return scope.principal


async def _person(scope: TenantScope) -> Scope:
    if principal_of(scope).api_key_id is not None:
        raise NotPermitted("an API key may not do this; log in", code="login_required")
    return scope


async def _owner(scope: Annotated[Scope, Depends(_person)]) -> Scope:
    if principal_of(scope).role is not Role.OWNER:
        raise NotPermitted("only an owner may do this")
    return scope


#: Scope of a person who logged in: whoever holds an API key must not make it last, or take the account over.
PersonScope = Annotated[Scope, Depends(_person)]
#: Scope of an owner who logged in.
OwnerScope = Annotated[Scope, Depends(_owner)]
