import dataclasses

import pytest

from alphapulse.runtime.settings import InvalidSetting, Settings


def test_settings_are_read_from_the_environment_by_name() -> None:
    settings = Settings.from_environment(
        {"FUNCTION": "trade", "PORT": "9001", "DATABASE_URL": "postgresql://u:hush@h/d", "BROKER_URL": ""}
    )

    assert (settings.function, settings.port, settings.broker_url) == ("trade", 9001, None)


def test_an_address_with_a_password_is_never_printed() -> None:
    settings = Settings.from_environment({"DATABASE_URL": "postgresql://u:hush@h/d"})

    assert "hush" not in repr(settings)
    assert "hush" not in str(dataclasses.asdict(settings))
    assert settings.database_url is not None
    assert settings.database_url.reveal() == "postgresql://u:hush@h/d"


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "eighty"), ("LOG_LEVEL", "LOUD"), ("FUNCTION", "../etc"), ("PORT", "70000")]
)
def test_malformed_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=name):
        Settings.from_environment({name: value})
