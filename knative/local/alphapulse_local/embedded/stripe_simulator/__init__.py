"""A simulation of the part of Stripe's API that the platform uses; it is not Stripe.

A process of its own that speaks Stripe's wire format over HTTP, so that the official SDK talks to it
unchanged: form encoding, ids, errors, idempotency keys, lists, deleted objects. What it has made stays
in one file. No money moves, there are no payment methods, and nothing is ever sent to Stripe.
"""

from alphapulse_local.embedded.stripe_simulator.launcher import EmbeddedStripe

__all__ = ["EmbeddedStripe"]
