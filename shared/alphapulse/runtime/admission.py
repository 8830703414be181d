"""What a principal may ask for at this moment.

| tenant is | reads | changes |
|---|---|---|
| active | yes | by role |
| pending, provisioning, failed | its account only | its account only |
| suspended | yes | what lessens risk or is the user's own: marked with `open_when` |
| cancelled | yes | none but those marked |
| deleted | no | no |
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from starlette.requests import Request

from alphapulse.runtime import rate_limits
from alphapulse.runtime.errors import FunctionError, NotAuthenticated, NotPermitted
from alphapulse.runtime.resources import Resources
from alphapulse.tenancy.facts import PrincipalFacts
from alphapulse.tenancy.limiter import tenant_allowance
from alphapulse.tenancy.principal import Principal
from alphapulse.tenancy.states import TenantStatus

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_MARK: Final = "open_when"
_ANY_ROLE: Final = "any_role"
_STARTING: Final = frozenset({TenantStatus.PENDING, TenantStatus.PROVISIONING, TenantStatus.FAILED})
# Login, sign-up's progress, deletion: what a tenant has before it has anything else.
_ACCOUNT: Final = ("/auth/", "/tenants/")
# A tenant that has used up its calls must still find out, and be able to buy more.
_BEYOND_QUOTA: Final = (*_ACCOUNT, "/subscription", "/usage", "/invoices")

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def open_when(*statuses: TenantStatus) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function as allowed in further states of the tenant, whatever its method.

    Stands below the decorator that makes it a route. Such a route also works when the day's calls are
    used up: it is there to lessen harm.
    """

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, frozenset(statuses))
        return endpoint

    return mark


def any_role(endpoint: Endpoint) -> Endpoint:
    """Mark a route's function as open to users who may only read: it concerns their own login.

    Stands below the decorator that makes it a route.
    """
    setattr(endpoint, _ANY_ROLE, True)
    return endpoint


async def admit(request: Request, resources: Resources, principal: Principal) -> Principal:
    """Return the principal as it stands now, if its request is let through.

    Raises
    ------
    NotAuthenticated
        The login or API key was revoked, its user disabled, or the tenant deleted.
    NotPermitted
        The tenant's state or the user's role does not allow it.
    RateLimited, QuotaExceeded
        Too many requests.
    alphapulse.data.errors.DatabaseUnavailable
        What is true now cannot be found out.
    """
    facts = await resources.facts.of(principal)
    if facts is None:
        raise NotAuthenticated("the account is gone", code="invalid_token")
    now = _as_it_stands(principal, facts)
    path, marked = request.url.path, _marked(request)
    daily = not marked and not path.startswith(_BEYOND_QUOTA)
    allowance = tenant_allowance(now.tenant_id, facts.limits, daily=daily)
    await rate_limits.take(request.scope, resources, allowance)
    refusal = _state_refusal(facts.tenant_status, request.method, path, marked)
    if refusal is not None:
        raise refusal
    if request.method not in SAFE_METHODS and not (now.may_change or _open_to_any_role(request)):
        raise NotPermitted(f"role {now.role} may only read")
    return now


def _as_it_stands(principal: Principal, facts: PrincipalFacts) -> Principal:
    if facts.role is None:
        raise NotAuthenticated("the account is gone", code="invalid_token")
    if facts.tenant_status is TenantStatus.DELETED:
        raise NotAuthenticated("the tenant has been deleted", code="tenant_deleted")
    if not facts.live:
        raise NotAuthenticated("the login has ended; log in again", code="session_ended")
    if (facts.role, facts.tier) == (principal.role, principal.tier):
        return principal
    return replace(principal, role=facts.role, tier=facts.tier)


def _marked(request: Request) -> frozenset[TenantStatus]:
    endpoint = getattr(request.scope.get("route"), "endpoint", None)
    marked: frozenset[TenantStatus] = getattr(endpoint, _MARK, frozenset())
    return marked


def _open_to_any_role(request: Request) -> bool:
    return bool(getattr(getattr(request.scope.get("route"), "endpoint", None), _ANY_ROLE, False))


def _state_refusal(
    status: TenantStatus, method: str, path: str, marked: frozenset[TenantStatus]
) -> FunctionError | None:
    if status is TenantStatus.ACTIVE or status in marked:
        return None
    if status in _STARTING:
        if path.startswith(_ACCOUNT):
            return None
        return NotPermitted(
            f"the tenant is {status}, not active", code="tenant_not_active", extra={"tenant_status": status}
        )
    if method in SAFE_METHODS:
        return None
    return NotPermitted(
        f"the tenant is {status}: reading only", code=f"tenant_{status}", extra={"tenant_status": status}
    )
