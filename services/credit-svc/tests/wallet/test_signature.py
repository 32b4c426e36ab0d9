"""Signatures of webhooks by Standard Webhooks: a golden vector, rotation, and everything that is not one."""

import base64

import pytest

from muster.credit.domain.signature import TOLERANCE_S, Unsigned, secret_of, sign, verify

SECRET = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
ID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER = secret_of("whsec_" + base64.b64encode(b"another key of 32 bytes, surely!").decode())


def test_the_vector_of_the_specification_holds() -> None:
    assert sign(SECRET, ID, AT, BODY) == SIGNATURE
    assert verify([SECRET], ID, str(AT), SIGNATURE, BODY, AT) is None


def test_any_of_several_signatures_by_any_of_several_secrets_holds_while_one_replaces_another() -> None:
    both = f"{sign(OTHER, ID, AT, BODY)} {SIGNATURE}"

    assert verify([SECRET], ID, str(AT), both, BODY, AT) is None
    assert verify([OTHER, SECRET], ID, str(AT), SIGNATURE, BODY, AT) is None
    assert verify([OTHER], ID, str(AT), SIGNATURE, BODY, AT) is Unsigned.SIGNATURE
    assert verify([], ID, str(AT), SIGNATURE, BODY, AT) is Unsigned.SIGNATURE


@pytest.mark.parametrize("apart", [-TOLERANCE_S, 0, TOLERANCE_S])
def test_within_five_minutes_either_way_it_is_in_time(apart: int) -> None:
    assert verify([SECRET], ID, str(AT), SIGNATURE, BODY, AT + apart) is None


@pytest.mark.parametrize("apart", [-TOLERANCE_S - 1, TOLERANCE_S + 1, 86_400])
def test_older_or_of_the_future_it_is_refused(apart: int) -> None:
    assert verify([SECRET], ID, str(AT), SIGNATURE, BODY, AT + apart) is Unsigned.TIME


@pytest.mark.parametrize(
    ("call_id", "at", "signature", "body"),
    [
        (ID + "x", str(AT), SIGNATURE, BODY),
        (ID, str(AT + 1), SIGNATURE, BODY),
        (ID, str(AT), SIGNATURE, BODY + b" "),
        (ID, str(AT), SIGNATURE, BODY[:-1]),
        (ID, str(AT), SIGNATURE[:-1], BODY),
        (ID, str(AT), "v1a," + SIGNATURE[3:], BODY),
        (ID, str(AT), SIGNATURE[3:], BODY),
        (ID, str(AT), "v1", BODY),
        (ID, str(AT), "v1,ü", BODY),
        (ID, str(AT), "  ", BODY),
    ],
)
def test_what_was_altered_cut_or_never_signed_does_not_hold(call_id: str, at: str, signature: str, body: bytes) -> None:
    assert verify([SECRET], call_id, at, signature, body, AT) is Unsigned.SIGNATURE


@pytest.mark.parametrize(
    ("call_id", "at", "signature"),
    [
        ("", str(AT), SIGNATURE),
        ("a b", str(AT), SIGNATURE),
        ("x" * 256, str(AT), SIGNATURE),
        (ID, "", SIGNATURE),
        (ID, "nan", SIGNATURE),
        (ID, "-1", SIGNATURE),
        (ID, "1614265330.5", SIGNATURE),
        (ID, "9" * 12, SIGNATURE),
        (ID, str(AT), ""),
        (ID, str(AT), " ".join([SIGNATURE] * 21)),
    ],
)
def test_headers_that_are_none_are_refused_before_anything_is_computed(call_id: str, at: str, signature: str) -> None:
    assert verify([SECRET], call_id, at, signature, BODY, AT) is Unsigned.HEADERS


@pytest.mark.parametrize("text", ["", "secret", "whsec_", "whsec_!!!!", "whsec_c2hvcnQ=", "whsec_" + "A" * 100])
def test_a_secret_that_is_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="a webhook secret") as refused:
        secret_of(text)
    assert len(text) < 7 or text not in str(refused.value)
