"""`/v1/subscriptions`: trials, cancellation, and what becomes of a trial without a payment method.

Nobody has a payment method here, so a subscription begins with a trial or stays `incomplete`.
"""

from alphapulse_local.embedded.stripe_simulator import customers
from alphapulse_local.embedded.stripe_simulator.catalogue import known_price
from alphapulse_local.embedded.stripe_simulator.errors import Refusal, no_such
from alphapulse_local.embedded.stripe_simulator.parameters import Parameters
from alphapulse_local.embedded.stripe_simulator.store import Document, Store, new_id, now, page

_DAY = 24 * 3600
_PERIODS = {"day": _DAY, "week": 7 * _DAY, "month": 30 * _DAY, "year": 365 * _DAY}
_AFTER_TRIAL = {"create_invoice": "past_due", "cancel": "canceled", "pause": "paused"}
_ENDED = {"canceled", "incomplete_expired"}


def create(store: Store, parameters: Parameters) -> Document:
    """POST /v1/subscriptions."""
    customer = customers.present(store, parameters.needed("customer"), param="customer", status=400)["id"]
    items = [_item(store, item) for item in parameters.every("items")]
    if not items:
        raise Refusal("Missing required param: items.", code="parameter_missing", param="items")
    trial_end = _trial_end(parameters)
    incomplete = parameters.one_of("payment_behavior", "allow_incomplete", "default_incomplete")
    if trial_end is None and incomplete != "default_incomplete":
        raise Refusal(
            "This customer has no attached payment source or default payment method.", code="resource_missing"
        )
    body = _body(customer, items, trial_end=trial_end)
    body["trial_settings"] = {"end_behavior": {"missing_payment_method": _end_behavior(parameters)}}
    body["cancel_at_period_end"] = parameters.flag("cancel_at_period_end") or False
    body["metadata"] = parameters.metadata()
    parameters.done()
    store.add(body, owner=customer)
    return body


def retrieve(store: Store, parameters: Parameters, number: str) -> Document:
    """GET /v1/subscriptions/{id}."""
    parameters.done()
    return _present(store, number)


def update(store: Store, parameters: Parameters, number: str) -> Document:
    """POST /v1/subscriptions/{id}: metadata, and the end of it at the end of the period."""
    body = _present(store, number)
    if body["status"] in _ENDED:
        raise Refusal("A canceled subscription can only update its metadata.", param="id")
    at_end = parameters.flag("cancel_at_period_end")
    body["metadata"] = parameters.metadata(body["metadata"])
    if at_end is not None:
        body["cancel_at_period_end"] = at_end
        body["cancel_at"] = body["items"]["data"][0]["current_period_end"] if at_end else None
        body["canceled_at"] = now() if at_end else None
    parameters.done()
    store.change(body, owner=body["customer"])
    return body


def cancel(store: Store, parameters: Parameters, number: str) -> Document:
    """DELETE /v1/subscriptions/{id}: at once."""
    parameters.done()
    body = _present(store, number)
    if body["status"] in _ENDED:
        raise no_such("subscription", number)
    return end(store, body)


def listed(store: Store, parameters: Parameters) -> Document:
    """GET /v1/subscriptions: of a customer, by status; ended ones only when asked for."""
    customer = parameters.text("customer")
    status = parameters.one_of(
        "status",
        "all",
        "active",
        "trialing",
        "past_due",
        "unpaid",
        "paused",
        "incomplete",
        "canceled",
        "ended",
    )
    limit = parameters.integer("limit", least=1, most=100) or 10
    after, before = parameters.text("starting_after"), parameters.text("ending_before")
    parameters.done()
    found = [_today(body) for body in store.all("subscription", owner=customer)]
    shown = [body for body in found if _asked_for(body, status)]
    return page(shown, url="/v1/subscriptions", limit=limit, after=after, before=before)


def end(store: Store, body: Document) -> Document:
    """End a subscription at once."""
    body = _today(body)
    if body["status"] not in _ENDED:
        body |= {"status": "canceled", "canceled_at": now(), "ended_at": now()}
        store.change(body, owner=body["customer"])
    return body


def _present(store: Store, number: str) -> Document:
    body = store.get("subscription", number)
    if body is None:
        raise no_such("subscription", number)
    return _today(body)


def _asked_for(body: Document, status: str | None) -> bool:
    if status is None:
        return body["status"] not in _ENDED
    if status == "ended":
        return body["status"] in _ENDED
    return status in {"all", body["status"]}


def _today(body: Document) -> Document:
    """Return the state as of now: a trial that is over went on without a payment method."""
    if body["status"] != "trialing" or body["trial_end"] > now():
        return body
    status = _AFTER_TRIAL[body["trial_settings"]["end_behavior"]["missing_payment_method"]]
    ended = {"ended_at": body["trial_end"], "canceled_at": body["trial_end"]} if status == "canceled" else {}
    return {**body, **ended, "status": status}


def _trial_end(parameters: Parameters) -> int | None:
    days = parameters.integer("trial_period_days", least=1, most=730)
    at = parameters.integer("trial_end")
    if days is not None and at is not None:
        raise Refusal("You may only specify one of: trial_end, trial_period_days", param="trial_end")
    if at is not None and at <= now():
        raise Refusal("Invalid timestamp: must be in the future", param="trial_end")
    return at if days is None else now() + days * _DAY


def _end_behavior(parameters: Parameters) -> str:
    settings = parameters.inner("trial_settings")
    behavior = settings.inner("end_behavior") if settings is not None else None
    if settings is None or behavior is None:
        return "create_invoice"
    choice = behavior.one_of("missing_payment_method", *_AFTER_TRIAL)
    behavior.done()
    settings.done()
    return choice or "create_invoice"


def _item(store: Store, parameters: Parameters) -> Document:
    price = known_price(store, parameters.needed("price"), param=parameters.name("price"))
    quantity = parameters.integer("quantity")
    item = {
        "id": new_id("si"),
        "object": "subscription_item",
        "created": now(),
        "metadata": parameters.metadata(),
        "price": price,
        "quantity": 1 if quantity is None else quantity,
    }
    parameters.done()
    return item


def _body(customer: str, items: list[Document], *, trial_end: int | None) -> Document:
    number, began = new_id("sub"), now()
    for item in items:
        period = _PERIODS[item["price"]["recurring"]["interval"]]
        item |= {
            "subscription": number,
            "current_period_start": began,
            "current_period_end": trial_end or began + period,
        }
    return {
        "id": number,
        "object": "subscription",
        "billing_cycle_anchor": trial_end or began,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "collection_method": "charge_automatically",
        "created": began,
        "currency": "usd",
        "customer": customer,
        "default_payment_method": None,
        "ended_at": None,
        "items": {
            "object": "list",
            "data": items,
            "has_more": False,
            "url": f"/v1/subscription_items?subscription={number}",
        },
        "latest_invoice": None,
        "livemode": False,
        "metadata": {},
        "start_date": began,
        "status": "incomplete" if trial_end is None else "trialing",
        "trial_end": trial_end,
        "trial_start": began if trial_end else None,
    }
