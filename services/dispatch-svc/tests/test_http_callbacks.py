"""What carriers say by callback: which calls are theirs (published vectors where there are any), and what they tell."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from test_http_adapters import account

from muster.dispatch.domain.http import ADAPTERS, SIGNED_BY_KEY, sinch, twilio, vonage, wire
from muster.dispatch.domain.http.model import (
    Call,
    Ended,
    Http,
    Malformed,
    NotGenuine,
    Secrets,
    Signed,
    Torn,
    Written,
)
from muster.dispatch.domain.receipts import Receipt

NOW_S = 1_700_000_000.0
SECRETS = Secrets("", ("the old secret", "the new secret"))
URL = "https://m.example/v1/receipts/a"
HMAC = {"header": "X-Signature", "timestamp_header": "X-Time", "signed": "{timestamp}:{body}", "prefix": "v1="}


def test_a_call_of_twilio_is_known_by_the_vector_of_its_documentation() -> None:
    """https://www.twilio.com/docs/usage/webhooks/webhooks-security, and the tests of twilio's own libraries."""
    pairs = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675309"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
    ]
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio.signature("12345", url, pairs) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    repeated = [("Sid", "CA123"), ("SidAccount", "AC123"), *(("Digits", one) for one in ("5678", "1234", "1234"))]
    assert twilio.signature("12345", url, repeated) == "IK+Dwps556ElfBT0I3Rgjkr1wJU="


def test_a_call_of_sinch_is_known_by_the_vector_of_its_libraries() -> None:
    """github.com/sinch/sinch-sdk-dotnet, tests of the Conversation API's webhooks."""
    body = (
        '{"app_id":"","accepted_time":"2021-10-18T17:49:13.813615Z","project_id":"e2df3a34-a71b-4448-9db5-a8d2baad28e4",'
        '"contact_create_notification":{"contact":{"id":"01FJA8B466Y0R2GNXD78MD9SM1","channel_identities":[{"channel":'
        '"SMS","identity":"48123456789","app_id":""}],"display_name":"New Test Contact",'
        '"email":"new.contact@email.com",'
        '"external_id":"","metadata":"","language":"EN_US"}},"message_metadata":""}'
    )
    headers = {
        "x-sinch-webhook-signature-nonce": "01FJA8B4A7BM43YGWSG9GBV067",
        "x-sinch-webhook-signature-timestamp": "1634579353",
        "x-sinch-webhook-signature": "6bpJoRmFoXVjfJIVglMoJzYXxnoxRujzR4k2GOXewOE=",
    }
    call = Call(URL, headers, body.encode())
    known = sinch.verify(account("sinch"), Secrets("", ("foo_secret1234",)), call, 1_634_579_353)
    assert known == b"01FJA8B4A7BM43YGWSG9GBV067.1634579353"


def test_a_call_by_standard_webhooks_is_known_by_the_vector_of_the_specification() -> None:
    """github.com/standard-webhooks/standard-webhooks, tests of its libraries."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secrets = Secrets("", ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",))
    call = Call(URL, headers, b'{"test": 2432232314}')
    known = ADAPTERS["generic"].verify(account("generic"), secrets, call, 1_614_265_330)
    assert known == b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330"


def signed(adapter: str, body: dict[str, Any], at_s: float = NOW_S, secret: str = "the new secret") -> Call:
    """A call as this carrier makes it."""
    octets, stamp = json.dumps(body).encode(), str(int(at_s))
    match adapter:
        case "twilio":
            form = {name: str(value) for name, value in body.items()}
            headers = {"x-twilio-signature": twilio.signature(secret, URL, list(form.items()))}
            octets = urlencode(form).encode()
        case "vonage":
            fields = {**body, "timestamp": stamp, "nonce": "n1"}
            octets = json.dumps({**fields, "sig": vonage.signature(secret, fields).upper()}).encode()
            headers = {"content-type": "application/json"}
        case "sinch":
            headers = {
                "x-sinch-webhook-signature-nonce": "n1",
                "x-sinch-webhook-signature-timestamp": stamp,
                "x-sinch-webhook-signature-algorithm": "HmacSHA512",
                "x-sinch-webhook-signature": wire.digest(
                    "sha512", secret.encode(), octets + f".n1.{stamp}".encode(), "base64"
                ),
            }
        case "hmac":
            made = wire.digest("sha256", secret.encode(), f"{stamp}:".encode() + octets, "hex")
            headers = {"x-time": stamp, "x-signature": f"v1={made}"}
        case _:
            made = wire.digest("sha256", secret.encode(), f"msg_1.{stamp}.".encode() + octets, "base64")
            headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": f"v1,AAAA v1,{made}"}
    return Call(URL, headers, octets)


def carrier(adapter: str) -> Http:
    return account("generic", signature=HMAC) if adapter == "hmac" else account(adapter)


def verify(adapter: str, call: Call, now_s: float = NOW_S) -> bytes | NotGenuine | Signed:
    http = carrier(adapter)
    return ADAPTERS[http.adapter].verify(http, SECRETS, call, now_s)


# Those that sign with a secret of both; test_http_messagemedia.py has the one with a key of its own.
SIGNERS = [*(one for one in ADAPTERS if one not in SIGNED_BY_KEY), "hmac"]
BODY = {"id": "a-1", "text": "a=b&c"}


@pytest.mark.parametrize("adapter", SIGNERS)
def test_a_call_is_genuine_under_each_secret_and_the_same_call_is_the_same(adapter: str) -> None:
    old = verify(adapter, signed(adapter, BODY, secret="the old secret"))
    new = verify(adapter, signed(adapter, BODY))

    assert isinstance(old, bytes)
    assert isinstance(new, bytes)
    assert verify(adapter, signed(adapter, BODY)) == new


@pytest.mark.parametrize("adapter", SIGNERS)
def test_what_was_signed_with_another_secret_or_changed_on_its_way_is_not_genuine(adapter: str) -> None:
    call = signed(adapter, BODY)

    assert verify(adapter, signed(adapter, BODY, secret="a guess")) is NotGenuine.SIGNATURE
    # As a proxy would that reads JSON and writes it anew, or a form with one field more.
    spaced = call.body.replace(b'": "', b'":"') if adapter not in ("twilio", "vonage") else None
    tampered = spaced or call.body.replace(b"a-1", b"a-2")
    assert tampered != call.body
    assert verify(adapter, replace(call, body=tampered)) is NotGenuine.SIGNATURE


@pytest.mark.parametrize("adapter", [one for one in SIGNERS if one != "twilio"])
@pytest.mark.parametrize("late_s", [-301, 301])
def test_a_call_of_more_than_five_minutes_ago_or_from_now_is_not_genuine(adapter: str, late_s: int) -> None:
    assert verify(adapter, signed(adapter, BODY), NOW_S + late_s) is NotGenuine.TIME
    assert isinstance(verify(adapter, signed(adapter, BODY), NOW_S + late_s // 301 * 299), bytes)


@pytest.mark.parametrize("adapter", SIGNERS)
@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[]", b"&" * 5_000])
def test_a_call_without_a_signature_is_not_genuine_whatever_it_holds(adapter: str, body: bytes) -> None:
    assert verify(adapter, Call(URL, {"content-type": "application/json"}, body)) is NotGenuine.HEADERS


def test_a_call_of_twilio_to_another_address_is_not_genuine() -> None:
    call = replace(signed("twilio", BODY), url="https://m.example/v1/inbound/a")
    assert verify("twilio", call) is NotGenuine.SIGNATURE


@pytest.mark.parametrize("adapter", SIGNERS)
def test_without_a_secret_nothing_is_genuine(adapter: str) -> None:
    http = carrier(adapter)
    call = signed(adapter, BODY, secret="")
    assert isinstance(ADAPTERS[http.adapter].verify(http, Secrets("", ()), call, NOW_S), NotGenuine)


D, U, E, R = Receipt.DELIVERED, Receipt.UNDELIVERED, Receipt.EXPIRED, Receipt.REJECTED
SINCH = {"type": "recipient_delivery_report_sms", "batch_id": "01F", "recipient": "61411000003"}
VONAGE = {"messageId": "0A1", "msisdn": "61411000003", "to": "61400000001", "scts": "2311142213"}
MESSAGEMEDIA = {"delivery_report_id": "01e1", "message_id": "877c", "source_number": "+61411000003"}
REPLY = {
    "reply_id": "a175",
    "message_id": "877c",
    "source_number": "+61411000003",
    "destination_number": "+61400000001",
    "content": "STOP",
    "metadata": {"reference": "r1"},
}
AT = datetime(2023, 11, 14, 22, 13, tzinfo=UTC)
RECEIPTS: list[tuple[str, dict[str, Any], list[Ended]]] = [
    (
        "twilio",
        {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+61411000003", "From": "+61400000001"},
        [Ended("SM1", D, "", "+61411000003", "+61400000001")],
    ),
    ("twilio", {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30003"}, [Ended("SM1", U, "30003")]),
    ("twilio", {"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "30007"}, [Ended("SM1", R, "30007")]),
    ("twilio", {"MessageSid": "SM1", "MessageStatus": "sent"}, []),
    ("twilio", {"MessageSid": "SM1", "MessageStatus": "something new"}, []),
    (
        "vonage",
        {**VONAGE, "status": "delivered", "err-code": "0"},
        [Ended("0A1", D, "", "61411000003", "61400000001", AT)],
    ),
    (
        "vonage",
        {**VONAGE, "status": "failed", "err-code": "6"},
        [Ended("0A1", U, "6", "61411000003", "61400000001", AT)],
    ),
    ("vonage", {"messageId": "0A1", "status": "expired", "scts": "never"}, [Ended("0A1", E)]),
    ("vonage", {"messageId": "0A1", "status": "rejected"}, [Ended("0A1", R)]),
    ("vonage", {"messageId": "0A1", "status": "buffered"}, []),
    (
        "sinch",
        {**SINCH, "code": 0, "status": "Delivered", "operator_status_at": "2023-11-14T22:13:00Z"},
        [Ended("01F", D, "", "61411000003", "", AT)],
    ),
    ("sinch", {**SINCH, "code": 402, "status": "Aborted"}, [Ended("01F", R, "402", "61411000003")]),
    ("sinch", {**SINCH, "code": 11, "status": "FAILED"}, [Ended("01F", U, "11", "61411000003")]),
    ("sinch", {**SINCH, "code": 406, "status": "Expired"}, [Ended("01F", E, "406", "61411000003")]),
    ("sinch", {**SINCH, "code": 401, "status": "Dispatched"}, []),
    ("sinch", {"type": "delivery_report_sms", "batch_id": "01F", "statuses": []}, []),
    (
        "messagemedia",
        {**MESSAGEMEDIA, "status": "delivered", "submitted_date": "2023-11-14T22:13:00.000Z"},
        [Ended("877c", D, "", "+61411000003", done_at=AT)],
    ),
    (
        "messagemedia",
        {**MESSAGEMEDIA, "status": "failed", "error_code": 332},
        [Ended("877c", U, "332", "+61411000003")],
    ),
    ("messagemedia", {**MESSAGEMEDIA, "status": "expired"}, [Ended("877c", E, "", "+61411000003")]),
    ("messagemedia", {**MESSAGEMEDIA, "status": "rejected"}, [Ended("877c", R, "", "+61411000003")]),
    ("messagemedia", {**MESSAGEMEDIA, "status": "enroute"}, []),
    ("messagemedia", REPLY, []),
    ("generic", {"id": "a-1", "status": "delivered", "to": "+61411000003"}, [Ended("a-1", D, "", "+61411000003")]),
    ("generic", {"id": "a-1", "status": "on its way"}, []),
]


@pytest.mark.parametrize(("adapter", "body", "said"), RECEIPTS)
def test_a_receipt_says_how_a_message_ended_or_nothing_that_is_final(
    adapter: str, body: dict[str, Any], said: list[Ended]
) -> None:
    assert ADAPTERS[adapter].receipts(account(adapter), signed(adapter, body)) == said


def test_a_described_carrier_says_many_ends_in_its_own_words() -> None:
    fields = {"events": "events", "id": "message.id", "state": "state", "error": "why", "number": "", "sender": ""}
    http = account(
        "generic", receipt=fields, states={"DELIVRD": "delivered", "UNDELIV": "undelivered", "SENT": "pending"}
    )
    events = [
        {"message": {"id": "a"}, "state": "DELIVRD", "at": "2023-11-14T23:13:00+01:00"},
        {"message": {"id": "b"}, "state": "UNDELIV", "why": 27},
        {"message": {"id": "c"}, "state": "SENT"},
    ]

    said = ADAPTERS["generic"].receipts(http, signed("generic", {"events": events}))

    assert said == [Ended("a", D, done_at=AT), Ended("b", U, "27")]


MO = {"msisdn": "61411000003", "to": "61400000001", "messageId": "0B1", "text": "STOP"}
WRITTEN: list[tuple[str, dict[str, Any], Written]] = [
    (
        "twilio",
        {"MessageSid": "SM2", "From": "+61411000003", "To": "+61400000001", "Body": "STOP €"},
        Written("SM2", "+61411000003", "+61400000001", "STOP €"),
    ),
    ("vonage", MO, Written("0B1", "61411000003", "61400000001", "STOP")),
    (
        "vonage",
        {**MO, "concat": "true", "concat-ref": "9", "concat-total": "3", "concat-part": "2"},
        Written("0B1", "61411000003", "61400000001", "STOP", Torn(9, 3, 2)),
    ),
    (
        "sinch",
        {"type": "mo_text", "id": "01G", "from": "61411000003", "to": "61400000001", "body": "STOP"},
        Written("01G", "61411000003", "61400000001", "STOP"),
    ),
    ("messagemedia", REPLY, Written("a175", "+61411000003", "+61400000001", "STOP")),
    (
        "generic",
        {"id": "i-1", "from": "+61411000003", "to": "+61400000001", "text": "ST\0OP"},
        Written("i-1", "+61411000003", "+61400000001", "STOP"),
    ),
]


@pytest.mark.parametrize(("adapter", "body", "written"), WRITTEN)
def test_what_people_write_is_read_with_the_carriers_own_name_for_it(
    adapter: str, body: dict[str, Any], written: Written
) -> None:
    assert ADAPTERS[adapter].inbound(account(adapter), signed(adapter, body)) == [written]


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("body", [{}, {"id": "", "status": "x"}, {"MessageSid": "x y", "MessageStatus": "delivered"}])
def test_a_genuine_call_that_says_nothing_readable_is_malformed_and_no_error_of_ours(
    adapter: str, body: dict[str, Any]
) -> None:
    http, call = account(adapter), signed(adapter, body)
    if adapter == "sinch":
        call = signed(adapter, {**body, "type": "mo_text"})
        assert isinstance(ADAPTERS[adapter].receipts(http, signed(adapter, {**SINCH, "status": 7.5})), Malformed)
    else:
        assert isinstance(ADAPTERS[adapter].receipts(http, call), Malformed)
    assert isinstance(ADAPTERS[adapter].inbound(http, call), Malformed)
    assert isinstance(ADAPTERS[adapter].inbound(http, Call(URL, {}, b"\xff\x00")), Malformed)


ODD: tuple[Any, ...] = (None, True, -1, 1.5, 10**30, "", "x" * 5_000, "\0", [], ["a"], {}, {"a": 1})


@pytest.mark.parametrize(("adapter", "body"), [(one, body) for table in (RECEIPTS, WRITTEN) for one, body, _ in table])
def test_a_field_of_a_call_may_hold_anything_and_the_call_is_read_or_malformed(
    adapter: str, body: dict[str, Any]
) -> None:
    http = account(adapter)
    for name in body:
        for odd in ODD:
            called, form = {**body, name: odd}, adapter == "twilio"
            call = Call(URL, {}, (urlencode(called) if form else json.dumps(called)).encode())
            assert isinstance(ADAPTERS[adapter].receipts(http, call), list | Malformed)
            assert isinstance(ADAPTERS[adapter].inbound(http, call), list | Malformed)


def test_more_events_than_fit_one_call_are_refused_as_a_whole() -> None:
    http = account("generic", receipt={"events": "events"})
    many = {"events": [{"id": "a", "status": "delivered"}] * 1_001}
    assert isinstance(ADAPTERS["generic"].receipts(http, signed("generic", many)), Malformed)


@pytest.mark.parametrize(
    "part", [("9", "0", "0"), ("9", "2", "3"), ("x", "2", "1"), ("70000", "2", "1"), ("9", "999", "1")]
)
def test_a_part_that_cannot_be_of_a_message_is_malformed(part: tuple[str, str, str]) -> None:
    fields = dict(zip(("concat-ref", "concat-total", "concat-part"), part, strict=True))
    call = signed("vonage", {**MO, "concat": "true", **fields})
    assert isinstance(vonage.inbound(account("vonage"), call), Malformed)
