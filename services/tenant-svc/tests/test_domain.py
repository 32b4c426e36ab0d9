"""The rules of settings, addresses and signing keys, without a database."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.tenant.domain import SigningKey, check_email, is_new_key_due, retired, signer

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LEAD, LIFE, TRUST = timedelta(minutes=1), timedelta(days=30), timedelta(hours=2)


def key(kid: str, age: timedelta, private: bytes | None = b"k") -> SigningKey:
    return SigningKey(kid, b"p", private, NOW - age)


@pytest.mark.parametrize(
    "email", ["a@b.example", "first.last+tag@sub.salon.com.au", "o'brien@x.co", "x_y-z@a-b.example"]
)
def test_addresses_that_people_have_are_taken(email: str) -> None:
    assert check_email("email", email) is None


@pytest.mark.parametrize(
    "email",
    ["", "a", "@b.example", "a@", "a@b", "a b@c.example", "a@b..example", "a..b@c.example", "<a@b.example>",
     "a@b.example,c@d.example", "a@b.example\n", "a@b.example\x00", "a@=?x?=.example", "a@-b.example", '"a"@b.example',
     "é@b.example", "a" * 65 + "@b.example", "a@" + "b." * 150 + "example"],
)  # fmt: skip
def test_addresses_that_are_none_or_not_safe_are_refused(email: str) -> None:
    assert check_email("email", email) is not None


@given(st.text(max_size=60))
def test_what_is_taken_can_stand_in_a_header_as_it_is(text: str) -> None:
    email = f"{text}@b.example"
    if check_email("email", email) is None:
        assert email.isascii()
        assert email.isprintable()
        assert not set(email) & set(' <>,;:"()[]\\')
        assert "=?" not in email


def test_the_newest_published_key_signs() -> None:
    old, new, newest = key("old", LIFE), key("new", LEAD), key("newest", timedelta(0))
    assert signer([newest, old, new], NOW, LEAD) == new


def test_the_only_key_signs_at_once() -> None:
    assert signer([key("only", timedelta(0))], NOW, LEAD) is not None
    assert signer([], NOW, LEAD) is None


def test_a_key_that_cannot_be_unsealed_neither_signs_nor_counts() -> None:
    sealed = key("sealed", timedelta(hours=5), None)
    assert signer([sealed], NOW, LEAD) is None
    assert is_new_key_due([sealed], NOW, LIFE)
    assert retired([key("old", LIFE), sealed], NOW, TRUST) == []


def test_a_key_is_due_at_the_end_of_its_life() -> None:
    assert is_new_key_due([], NOW, LIFE)
    assert is_new_key_due([key("a", LIFE)], NOW, LIFE)
    assert not is_new_key_due([key("a", LIFE - timedelta(seconds=1))], NOW, LIFE)


def test_a_key_is_forgotten_when_its_successor_signed_for_longer_than_a_token_lives() -> None:
    old = key("old", LIFE)
    assert retired([old, key("new", TRUST)], NOW, TRUST) == ["old"]
    assert retired([old, key("new", TRUST - timedelta(seconds=1))], NOW, TRUST) == []
    assert retired([old], NOW, TRUST) == []
