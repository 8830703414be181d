"""`/v1/customers`."""

import secrets

from alphapulse_local.embedded.stripe_simulator import subscriptions
from alphapulse_local.embedded.stripe_simulator.errors import no_such
from alphapulse_local.embedded.stripe_simulator.parameters import Parameters
from alphapulse_local.embedded.stripe_simulator.store import Document, Store, new_id, now, page


def create(store: Store, parameters: Parameters) -> Document:
    """POST /v1/customers."""
    body: Document = {
        "id": new_id("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": now(),
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "email": None,
        "invoice_prefix": secrets.token_hex(4).upper(),
        "livemode": False,
        "metadata": {},
        "name": None,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
    }
    _read(parameters, body)
    store.add(body, owner=body["email"] or "")
    return body


def retrieve(store: Store, parameters: Parameters, number: str) -> Document:
    """GET /v1/customers/{id}; a deleted one is still answered, as deleted."""
    parameters.done()
    body = store.get("customer", number)
    if body is None:
        raise no_such("customer", number)
    return body


def update(store: Store, parameters: Parameters, number: str) -> Document:
    """POST /v1/customers/{id}."""
    body = present(store, number)
    _read(parameters, body)
    store.change(body, owner=body["email"] or "")
    return body


def delete(store: Store, parameters: Parameters, number: str) -> Document:
    """DELETE /v1/customers/{id}: its subscriptions end at once."""
    parameters.done()
    present(store, number)
    for subscription in store.all("subscription", owner=number):
        subscriptions.end(store, subscription)
    store.delete(number)
    return {"id": number, "object": "customer", "deleted": True}


def listed(store: Store, parameters: Parameters) -> Document:
    """GET /v1/customers: by address, if given, in exactly this spelling."""
    email = parameters.text("email", most=512)
    limit = parameters.integer("limit", least=1, most=100) or 10
    after, before = parameters.text("starting_after"), parameters.text("ending_before")
    parameters.done()
    found = store.all("customer", owner=email)
    return page(found, url="/v1/customers", limit=limit, after=after, before=before)


def present(store: Store, number: str, *, param: str = "id", status: int = 404) -> Document:
    """Return a customer that is not deleted."""
    body = store.get("customer", number)
    if body is None or body.get("deleted"):
        raise no_such("customer", number, param=param, status=status)
    return body


def _read(parameters: Parameters, body: Document) -> None:
    given = {
        "email": parameters.email("email"),
        "name": parameters.text("name", most=256),
        "description": parameters.text("description"),
        "phone": parameters.text("phone", most=20),
    }
    body.update({name: value or None for name, value in given.items() if value is not None})
    body["metadata"] = parameters.metadata(body["metadata"])
    parameters.done()
