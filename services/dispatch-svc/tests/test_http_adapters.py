"""HTTP carriers as their public documentation describes them: what is asked, and what each answer means.

Each adapter names its reference (`REFERENCE`); a code that the tables do not hold is read by its HTTP status.
"""

import base64
import json
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

import pytest

from muster.dispatch.domain.http import ADAPTERS, twilio
from muster.dispatch.domain.http.model import Busy, Http, Message, Refused, Reply, Request, Said, Secrets, Took, Unsure
from muster.dispatch.domain.http.read import Wrong, read_http, read_secrets

UNTIL = datetime(2026, 11, 27, 20, 0, tzinfo=timezone(timedelta(hours=11)))
MESSAGE = Message(
    *("+61411000003", "+61400000001", "Good morning {from} €", 1, "r1", 3600, UNTIL),
    receipts_url="https://m.example/v1/receipts/a",
)
SECRETS = Secrets("shown to the carrier", ("signs callbacks",))
DESCRIBED: dict[str, Any] = {
    "path": "/v1/messages",
    "body": {"to": "{to}", "message": {"text": "{text}", "n": "{parts}"}, "tags": ["muster-{reference}", 7]},
    "code": "error.code",
    "codes": {"BUSY": "not_sent", "BARRED": "rejected", "LOST": "unknown"},
    "id": "data.0.id",
    "not_sent": [429, 503],
}
BASES = {
    "twilio": "https://api.twilio.com",
    "vonage": "https://rest.nexmo.com",
    "sinch": "https://us.sms.api.sinch.com",
    "messagemedia": "https://api.messagemedia.com",
}


def account(adapter: str, **generic: Any) -> Http:
    """An account of this adapter, read as people write it."""
    options: dict[str, Any] = {
        "adapter": adapter,
        "base_url": BASES.get(adapter, "https://sms.example"),
        "username": "AC1",
    }
    if adapter == "generic":
        options["generic"] = {**DESCRIBED, **generic}
    read = read_http(options, ADAPTERS)
    assert isinstance(read, Http), read
    return read


def request(http: Http, message: Message = MESSAGE) -> Request:
    return ADAPTERS[http.adapter].request(http, SECRETS, message)


def test_every_adapter_names_its_public_reference() -> None:
    assert all(adapter.REFERENCE.startswith("https://") for adapter in ADAPTERS.values())


def test_twilio_is_sent_a_form_with_the_number_the_text_and_where_to_report() -> None:
    asked = request(account("twilio"))

    assert (asked.method, asked.path) == ("POST", "/2010-04-01/Accounts/AC1/Messages.json")
    assert dict(parse_qsl(asked.body.decode())) == {
        "To": "+61411000003",
        "From": "+61400000001",
        "Body": "Good morning {from} €",
        "ValidityPeriod": "3600",
        "StatusCallback": "https://m.example/v1/receipts/a",
    }
    shown = dict(asked.headers)["authorization"].removeprefix("Basic ")
    assert base64.b64decode(shown).decode() == "AC1:shown to the carrier"


def test_a_messaging_service_of_twilio_stands_in_its_own_field() -> None:
    sent = Message("+61411000003", "MG0123", "Hi", 1, "r1", 10**6, UNTIL)

    form = dict(parse_qsl(request(account("twilio"), sent).body.decode()))

    assert form["MessagingServiceSid"] == "MG0123"
    assert "From" not in form
    assert "StatusCallback" not in form
    assert form["ValidityPeriod"] == "36000", "the longest that it takes"


def test_vonage_is_sent_json_with_its_kind_of_text_and_a_time_to_live() -> None:
    asked = request(account("vonage"))

    assert asked.path == "/sms/json"
    assert json.loads(asked.body) == {
        "from": "61400000001",
        "to": "61411000003",
        "text": "Good morning {from} €",
        "type": "unicode",
        "ttl": 3_600_000,
        "status-report-req": 1,
        "client-ref": "r1",
        "callback": "https://m.example/v1/receipts/a",
    }


def test_sinch_is_sent_a_batch_of_one() -> None:
    asked = request(account("sinch"))

    assert asked.path == "/xms/v1/AC1/batches"
    assert dict(asked.headers)["authorization"] == "Bearer shown to the carrier"
    body = json.loads(asked.body)
    assert (body["to"], body["from"]) == (["61411000003"], "61400000001")
    assert (body["body"], body["delivery_report"]) == ("Good morning {from} €", "per_recipient")
    assert body["expire_at"] == "2026-11-27T09:00:00Z"
    assert body["callback_url"] == "https://m.example/v1/receipts/a"


def test_messagemedia_is_sent_a_list_of_one_with_the_kind_of_its_sender() -> None:
    asked = request(account("messagemedia"))

    assert asked.path == "/v1/messages"
    assert dict(asked.headers)["authorization"] == "Basic QUMxOnNob3duIHRvIHRoZSBjYXJyaWVy"
    assert json.loads(asked.body) == {
        "messages": [
            {
                "content": "Good morning {from} €",
                "destination_number": "+61411000003",
                "source_number": "+61400000001",
                "source_number_type": "INTERNATIONAL",
                "format": "SMS",
                "delivery_report": True,
                "message_expiry_timestamp": "2026-11-27T09:00:00.000Z",
                "metadata": {"reference": "r1"},
                "callback_url": "https://m.example/v1/receipts/a",
            }
        ]
    }


@pytest.mark.parametrize(
    ("sender", "kind"), [("Salon Bo", "ALPHANUMERIC"), ("0191234", "SHORTCODE"), ("61400000001", "INTERNATIONAL")]
)
def test_messagemedia_is_told_what_kind_of_sender_it_is(sender: str, kind: str) -> None:
    sent = json.loads(request(account("messagemedia"), Message("+61411000003", sender, "Hi", 1, "r1", 60, UNTIL)).body)
    assert sent["messages"][0]["source_number_type"] == kind
    assert "callback_url" not in sent["messages"][0]


def test_a_described_carrier_is_sent_its_template_and_what_people_write_is_no_template() -> None:
    asked = request(account("generic"))

    assert json.loads(asked.body) == {
        "to": "+61411000003",
        "message": {"text": "Good morning {from} €", "n": 1},
        "tags": ["muster-r1", 7],
    }
    assert asked.path == "/v1/messages"


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ({"auth": "bearer"}, ("authorization", "Bearer shown to the carrier")),
        ({"auth": "basic"}, ("authorization", "Basic QUMxOnNob3duIHRvIHRoZSBjYXJyaWVy")),
        ({"auth": "header", "auth_header": "X-Api-Key"}, ("x-api-key", "shown to the carrier")),
        ({"auth": "none"}, None),
    ],
)
def test_a_described_carrier_is_shown_the_secret_as_it_wants(
    given: dict[str, str], header: tuple[str, str] | None
) -> None:
    headers = request(account("generic", **given)).headers
    assert header in headers if header else len(headers) == 1


def test_a_described_carrier_may_want_a_form() -> None:
    asked = request(account("generic", encoding="form", body={"to": "{to_digits}", "text": "{text}"}))

    assert dict(parse_qsl(asked.body.decode())) == {"to": "61411000003", "text": "Good morning {from} €"}


def test_what_is_put_into_the_path_of_a_described_carrier_is_written_as_paths_are() -> None:
    sent = Message("+61411000003", "Ann & Co", "Hi", 1, "r1", 3600, UNTIL)

    asked = request(account("generic", path="/v1/{from}/messages?to={to}&parts={parts}"), sent)

    assert asked.path == "/v1/Ann%20%26%20Co/messages?to=%2B61411000003&parts=1"


def vonage(*statuses: str, **fields: str) -> dict[str, Any]:
    return {"messages": [{"status": status, "message-id": f"M{at}", **fields} for at, status in enumerate(statuses)]}


ANSWERS: list[tuple[str, int, Any, list[Said]]] = [
    ("twilio", 201, {"sid": "SM1", "status": "queued", "num_segments": "2"}, [Took("SM1")]),
    ("twilio", 201, {"status": "queued"}, [Unsure()]),
    ("twilio", 400, {"code": 21211, "message": "Invalid 'To' Phone Number"}, [Refused(21211)]),
    ("twilio", 400, {"code": 21610, "message": "unsubscribed recipient"}, [Refused(21610)]),
    ("twilio", 401, {"code": 20003}, [Busy(5)]),
    ("twilio", 429, {"code": 20429}, [Busy(0)]),
    ("twilio", 500, {"code": 20500}, [Unsure()]),
    ("twilio", 503, {"code": 20503}, [Unsure()]),
    ("vonage", 200, vonage("0"), [Took("M0")]),
    ("vonage", 200, vonage("0", "0"), [Took("M0"), Took("M1")]),
    ("vonage", 200, vonage("0", "1"), [Took("M0"), Refused(1)]),
    ("vonage", 200, vonage("0", "0", "0"), [Took("M0")]),
    ("vonage", 200, vonage("0", "6", "0"), [Unsure()]),
    ("vonage", 200, vonage("1"), [Busy()]),
    ("vonage", 200, vonage("4"), [Busy(5)]),
    ("vonage", 200, vonage("5"), [Unsure()]),
    ("vonage", 200, vonage("7"), [Refused(7)]),
    ("vonage", 200, {"messages": []}, [Unsure()]),
    ("vonage", 200, {"messages": [None]}, [Unsure()]),
    ("vonage", 429, None, [Busy(0)]),
    ("sinch", 201, {"id": "01FC66621XXXXX119Z8PMV1QPQ", "to": ["61411000003"]}, [Took("01FC66621XXXXX119Z8PMV1QPQ")]),
    ("sinch", 201, {"id": ["01FC"]}, [Unsure()]),
    ("sinch", 400, {"code": "syntax_invalid_parameter_format", "text": "to"}, [Refused(400)]),
    ("sinch", 403, {"code": "forbidden"}, [Busy(5)]),
    ("sinch", 429, None, [Busy(0)]),
    ("sinch", 500, None, [Unsure()]),
    ("messagemedia", 202, {"messages": [{"message_id": "877c", "status": "queued"}]}, [Took("877c")]),
    ("messagemedia", 202, {"messages": [{"status": "queued"}]}, [Unsure()]),
    ("messagemedia", 202, {"messages": {"message_id": "877c"}}, [Unsure()]),
    ("messagemedia", 400, {"message": "Request validation failed", "details": []}, [Refused(400)]),
    ("messagemedia", 403, {"message": "Unauthorized"}, [Busy(5)]),
    ("messagemedia", 429, None, [Busy(0)]),
    ("messagemedia", 500, None, [Unsure()]),
    ("generic", 202, {"data": [{"id": "a-1"}]}, [Took("a-1")]),
    ("generic", 200, {"data": [{"id": 12}]}, [Took("12")]),
    ("generic", 200, {"data": [{"id": "two words"}]}, [Unsure()]),
    ("generic", 200, {"data": {}}, [Unsure()]),
    ("generic", 200, {"error": {"code": "BUSY"}}, [Busy()]),
    ("generic", 200, {"error": {"code": "LOST"}, "data": [{"id": "a-1"}]}, [Unsure()]),
    ("generic", 422, {"error": {"code": "BARRED"}}, [Refused(422)]),
    ("generic", 422, {"error": {"code": 1207}}, [Refused(1207)]),
    ("generic", 503, None, [Busy(0)]),
    ("generic", 502, None, [Unsure()]),
    ("generic", 302, None, [Busy(5)]),
    ("generic", 408, None, [Unsure()]),
]


@pytest.mark.parametrize(("adapter", "status", "body", "said"), ANSWERS)
def test_an_answer_means_what_the_carrier_documents_and_unknown_where_it_does_not_say(
    adapter: str, status: int, body: Any, said: list[Said]
) -> None:
    reply = Reply(status, {}, json.dumps(body).encode())
    assert ADAPTERS[adapter].answer(account(adapter), reply, 2) == said


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"\xff\xfe", b"{", b"[" * 100_000, b'{"messages": 7, "sid": {}, "id": true}', b"1" * 9_000],
)
def test_a_success_that_cannot_be_read_is_unknown_and_never_an_error_of_ours(adapter: str, body: bytes) -> None:
    assert ADAPTERS[adapter].answer(account(adapter), Reply(200, {}, body), 1) == [Unsure()]


@pytest.mark.parametrize(
    ("given", "after_s"), [("7", 7), ("99999", 60), ("Fri, 31 Dec 1999 23:59:59 GMT", 0), ("-1", 0)]
)
def test_a_carrier_that_says_when_to_come_back_is_believed_within_a_minute(given: str, after_s: float) -> None:
    assert twilio.answer(account("twilio"), Reply(429, {"retry-after": given}, b""), 1) == [Busy(after_s)]


GENERIC: dict[str, Any] = {"adapter": "generic", "base_url": "https://a.example", "generic": DESCRIBED}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"adapter": "pigeon", "base_url": "https://a.example"}, "adapter"),
        ({"adapter": "twilio", "base_url": "ftp://a.example"}, "base_url"),
        ({"adapter": "twilio", "base_url": "https://me:secret@a.example"}, "base_url"),
        ({"adapter": "twilio", "base_url": "https://a.example/?key=1"}, "base_url"),
        ({"adapter": "twilio", "base_url": "https://a.example:99999"}, "base_url"),
        ({"adapter": "twilio", "base_url": "https://"}, "base_url"),
        ({"adapter": "twilio", "base_url": 7}, "base_url"),
        ({"adapter": "twilio", "base_url": "https://a.example", "password": "x"}, "password"),
        ({"adapter": "twilio", "base_url": "https://a.example", "username": "a\r\nb"}, "username"),
        (
            {"adapter": "twilio", "base_url": "https://a.example", "username": "AC1", "response_timeout_s": 0},
            "response_timeout_s",
        ),
        ({"adapter": "twilio", "base_url": "https://a.example", "generic": DESCRIBED}, "generic"),
        ({"adapter": "generic", "base_url": "https://a.example"}, "generic"),
        ({**GENERIC, "generic": {**DESCRIBED, "path": "//evil.example"}}, "generic.path"),
        ({**GENERIC, "generic": {**DESCRIBED, "body": []}}, "generic.body"),
        ({**GENERIC, "generic": {**DESCRIBED, "body": {"to": "{number}", "text": "{text}"}}}, "generic.body"),
        ({**GENERIC, "generic": {**DESCRIBED, "body": {"to": "{to}", "text": "text"}}}, "generic.body"),
        ({**GENERIC, "generic": {**DESCRIBED, "codes": {"A": "fine"}}}, "generic.codes"),
        ({**GENERIC, "generic": {**DESCRIBED, "not_sent": [200]}}, "generic.not_sent"),
        ({**GENERIC, "generic": {**DESCRIBED, "receipt": {"wrong": "a"}}}, "generic.receipt.wrong"),
        ({**GENERIC, "generic": {**DESCRIBED, "auth": "header", "auth_header": "a\r\nb"}}, "generic.auth_header"),
        (
            {
                **GENERIC,
                "generic": {**DESCRIBED, "signature": {"header": "s", "timestamp_header": "t", "signed": "{body}"}},
            },
            "generic.signature.signed",
        ),
    ],
)
def test_a_profile_that_cannot_be_is_refused_by_the_name_of_its_field(options: dict[str, Any], field: str) -> None:
    wrong = read_http(options, ADAPTERS)
    assert isinstance(wrong, Wrong)
    assert wrong.field == field


def test_secrets_are_one_text_or_one_for_each_direction_and_a_short_one_signs_nothing() -> None:
    assert read_secrets("one secret") == Secrets("one secret", ("one secret",))
    assert read_secrets('{"auth": "a", "callbacks": ["new secret", "old secret", "short"]}') == Secrets(
        "a", ("new secret", "old secret")
    )
    assert read_secrets("") == Secrets("", ())
