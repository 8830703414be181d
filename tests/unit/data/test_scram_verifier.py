"""The verifier PostgreSQL stores for a password."""

import base64

import pytest

from alphapulse.data.scram import scram_verifier


def test_the_keys_are_those_of_the_published_exchange() -> None:
    # RFC 7677, section 3: user "user", password "pencil", and this salt at 4096 iterations. The
    # keys follow from its proof and signature: SHA-256(ClientProof XOR ClientSignature) is StoredKey.
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")

    assert scram_verifier("pencil", salt=salt) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
        "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_the_same_password_gets_another_salt_each_time() -> None:
    assert scram_verifier("pencil") != scram_verifier("pencil")


@pytest.mark.parametrize("password", ["pässword", "line\nbreak", "nul\0"])
def test_a_password_that_saslprep_might_change_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as raised:
        scram_verifier(password)
    assert password not in str(raised.value)
