"""`/v1/products` and `/v1/prices`: those of the tiers are there from the start."""

from alphapulse_local.embedded.stripe_simulator.errors import no_such
from alphapulse_local.embedded.stripe_simulator.launcher import PRICES
from alphapulse_local.embedded.stripe_simulator.parameters import Parameters
from alphapulse_local.embedded.stripe_simulator.store import Document, Store, new_id, now, page

# Cents a month.
_AMOUNTS = {"starter": 9_900, "pro": 49_900, "enterprise": 200_000}


def ensure_prices(store: Store) -> None:
    """Add the tiers' products and prices where they are missing."""
    with store:
        for tier, price in PRICES.items():
            if store.get("price", price) is None:
                product = _product(
                    f"AlphaPulse {tier}", number=f"prod_simulated{tier}", metadata={"tier": tier}
                )
                store.add(product)
                body = _price(product["id"], amount=_AMOUNTS[tier], interval="month", number=price)
                store.add({**body, "lookup_key": tier}, owner=product["id"])


def create_product(store: Store, parameters: Parameters) -> Document:
    """POST /v1/products."""
    body = _product(parameters.needed("name"), metadata=parameters.metadata())
    body["description"] = parameters.text("description") or None
    parameters.done()
    store.add(body)
    return body


def create_price(store: Store, parameters: Parameters) -> Document:
    """POST /v1/prices: recurring, in US dollars."""
    product = parameters.needed("product")
    known_product(store, product)
    parameters.one_of("currency", "usd")
    amount = parameters.integer("unit_amount") or 0
    recurring = parameters.inner("recurring")
    interval = (recurring and recurring.one_of("interval", "day", "week", "month", "year")) or "month"
    if recurring is not None:
        recurring.done()
    body = _price(product, amount=amount, interval=interval)
    body |= {"lookup_key": parameters.text("lookup_key"), "metadata": parameters.metadata()}
    parameters.done()
    store.add(body, owner=product)
    return body


def retrieve_product(store: Store, parameters: Parameters, number: str) -> Document:
    """GET /v1/products/{id}."""
    parameters.done()
    return known_product(store, number, param="id", status=404)


def retrieve_price(store: Store, parameters: Parameters, number: str) -> Document:
    """GET /v1/prices/{id}."""
    parameters.done()
    return known_price(store, number, param="id", status=404)


def list_products(store: Store, parameters: Parameters) -> Document:
    """GET /v1/products."""
    return _page(store.all("product"), parameters, url="/v1/products")


def list_prices(store: Store, parameters: Parameters) -> Document:
    """GET /v1/prices: of a product, if given."""
    return _page(store.all("price", owner=parameters.text("product")), parameters, url="/v1/prices")


def known_price(store: Store, number: str, *, param: str, status: int = 400) -> Document:
    """Return a price."""
    body = store.get("price", number)
    if body is None:
        raise no_such("price", number, param=param, status=status)
    return body


def known_product(store: Store, number: str, *, param: str = "product", status: int = 400) -> Document:
    """Return a product."""
    body = store.get("product", number)
    if body is None:
        raise no_such("product", number, param=param, status=status)
    return body


def _page(found: list[Document], parameters: Parameters, *, url: str) -> Document:
    limit = parameters.integer("limit", least=1, most=100) or 10
    after, before = parameters.text("starting_after"), parameters.text("ending_before")
    parameters.done()
    return page(found, url=url, limit=limit, after=after, before=before)


def _product(name: str, *, metadata: dict[str, str], number: str | None = None) -> Document:
    return {
        "id": number or new_id("prod"),
        "object": "product",
        "active": True,
        "created": now(),
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "metadata": metadata,
        "name": name,
        "type": "service",
        "updated": now(),
    }


def _price(product: str, *, amount: int, interval: str, number: str | None = None) -> Document:
    return {
        "id": number or new_id("price"),
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": now(),
        "currency": "usd",
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product,
        "recurring": {"interval": interval, "interval_count": 1, "meter": None, "usage_type": "licensed"},
        "tax_behavior": "unspecified",
        "type": "recurring",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
