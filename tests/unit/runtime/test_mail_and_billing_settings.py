"""What the settings of mail and billing accept, and how billing's failures are answered."""

import pytest

from alphapulse.billing.provider import BillingRefused, BillingUnavailable
from alphapulse.runtime.problems import as_function_error
from alphapulse.runtime.resources import NotConfigured, Resources
from alphapulse.runtime.settings import InvalidSetting, Secret, Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_API_BASE", "http://stripe.test"),
        ("STRIPE_API_BASE", "http://127.0.0.1.evil.test:80"),
        ("STRIPE_API_BASE", "http://localhost:80@evil.test"),
        ("STRIPE_API_BASE", "https://user@stripe.test"),
        ("STRIPE_PRICE_PRO", "prod_1"),
        ("PUBLIC_URL", "alphapulse.test"),
        ("PUBLIC_URL", "https://alphapulse.test/"),
        ("PUBLIC_URL", "javascript:alert(1)"),
        ("MAIL_FROM", "AlphaPulse"),
        ("MAIL_FROM", "a@b\r\nBcc: c@d"),
    ],
)
def test_a_setting_that_would_send_things_elsewhere_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=name):
        Settings.from_environment({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_API_BASE", "https://stripe.test:8443"),
        ("STRIPE_API_BASE", "http://127.0.0.1:12111"),
        ("STRIPE_API_BASE", "http://localhost"),
        ("STRIPE_PRICE_PRO", "price_1MoBy5LkdIwHu7ix"),
        ("PUBLIC_URL", "http://127.0.0.1:8080"),
        ("MAIL_FROM", "AlphaPulse <no-reply@alphapulse.test>"),
    ],
)
def test_a_setting_is_taken_as_it_is(name: str, value: str) -> None:
    assert getattr(Settings.from_environment({name: value}), name.lower()) == value


def test_keys_and_passwords_are_not_printed() -> None:
    settings = Settings.from_environment(
        {"SMTP_URL": "smtp://user:hush@mail.test", "STRIPE_API_KEY": "sk_live_hush"}
    )

    assert "hush" not in repr(settings)


async def test_what_is_not_configured_says_which_setting_is_missing() -> None:
    resources = Resources(Settings(mail_from="a@b.test"))
    without_sender = Resources(Settings(smtp_url=Secret("smtp://127.0.0.1:25")))

    with pytest.raises(NotConfigured, match="SMTP_URL"):
        _ = resources.mailer
    with pytest.raises(NotConfigured, match="MAIL_FROM"):
        _ = without_sender.mailer
    with pytest.raises(NotConfigured, match="STRIPE_API_KEY"):
        _ = resources.billing


async def test_resources_close_what_billing_opened() -> None:
    resources = Resources(Settings(stripe_api_key=Secret("sk_test_x")))
    _ = resources.billing

    await resources.close()


def test_billing_that_is_away_is_tried_again_and_a_refusal_is_not() -> None:
    away = as_function_error(BillingUnavailable("no answer", retry_after_seconds=7))
    refused = as_function_error(BillingRefused("resource_missing"))

    assert (away.status, away.code, away.retry_after_seconds) == (503, "dependency_down", 7)
    assert (refused.status, refused.code) == (422, "billing_refused")
    assert "resource_missing" in refused.detail
