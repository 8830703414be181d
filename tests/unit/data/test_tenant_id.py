"""A tenant id is a UUID and nothing else."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.data.pool import begin_for
from alphapulse.tenancy.tenant import TenantId


@given(st.uuids())
def test_text_and_back_is_the_same_tenant(value: uuid.UUID) -> None:
    assert TenantId.parse(str(TenantId(value))) == TenantId(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0190f3a2-7c4e-7b61-8d52-3e9a1c5b7f04'; DROP TABLE tenants; --",
        "0190f3a2-7c4e-7b61-8d52-3e9a1c5b7f04\n",
        " 0190f3a2-7c4e-7b61-8d52-3e9a1c5b7f04",
        "0190F3A2-7C4E-7B61-8D52-3E9A1C5B7F04",
        "{0190f3a2-7c4e-7b61-8d52-3e9a1c5b7f04}",
        "urn:uuid:0190f3a2-7c4e-7b61-8d52-3e9a1c5b7f04",
        "0190f3a27c4e7b618d523e9a1c5b7f04",
        "0190f3a2-7c4e-7b61-8d52-3e9a1c5b7f0",
        "\u0660190f3a2-7c4e-7b61-8d52-3e9a1c5b7f04",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="canonical"):
        TenantId.parse(text)


@given(st.text())
def test_no_text_gets_into_a_statement_by_parsing(text: str) -> None:
    try:
        parsed = TenantId.parse(text)
    except ValueError:
        return
    assert str(parsed) == text
    assert set(text) <= set("0123456789abcdef-")


@pytest.mark.parametrize("value", ["0190f3a2-7c4e-7b61-8d52-3e9a1c5b7f04", None, 1, b"x"])
def test_only_a_uuid_makes_a_tenant_id(value: object) -> None:
    with pytest.raises(TypeError):
        TenantId(value)  # type: ignore[arg-type] # the point of the test


class Forged(uuid.UUID):
    """A UUID whose text is something else."""

    def __str__(self) -> str:
        return "x'; RESET ROLE; --"


def test_a_uuid_with_a_text_of_its_own_is_reduced_to_its_number() -> None:
    forged = Forged(int=1)

    assert str(TenantId(forged)) == "00000000-0000-0000-0000-000000000001"
    assert begin_for(forged) == (
        "BEGIN; SET LOCAL app.current_tenant_id = '00000000-0000-0000-0000-000000000001'"
    )


def test_new_ids_are_ordered_by_time() -> None:
    made = [TenantId.new() for _ in range(100)]

    assert sorted(made, key=str) == made
    assert {tenant_id.value.version for tenant_id in made} == {7}
