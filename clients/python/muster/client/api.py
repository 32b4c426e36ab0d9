"""A client of `/v1`: tokens are fetched and renewed, writes carry an idempotency key and are safe to repeat."""

import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import httpx

from muster.client import profiles, shapes
from muster.client.approving import Approving
from muster.client.errors import ApiError, NotConnected
from muster.client.events import read_events
from muster.client.importing import Importing, Pieces
from muster.client.listing import Listing
from muster.client.operating import Operating, encodable, segment
from muster.client.profiles import Profile
from muster.client.templating import Templating

TIMEOUT_S = 30.0
TRIES_MAX = 4
RETRY_PAUSE_S = 0.25
TOKEN_MARGIN_S = 30.0
WATCH_RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Muster is and as whom to speak to it."""

    url: str
    client_id: str = ""
    client_secret: str = ""
    session_token: str = ""

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """As somebody who has signed in."""
        return cls(profile.url, profile.client_id, profile.client_secret, profile.session_token)

    @classmethod
    def from_environment(cls, *, operator: bool = False, second: bool = False) -> Self:
        """`MUSTER_URL`, `MUSTER_CLIENT_ID`, `MUSTER_CLIENT_SECRET`; else the profile `MUSTER_PROFILE`; else, where
        `MUSTER_VAR` does not say which local Muster is meant, the profile of the last `muster login`; else `run.json`
        of a local Muster: its first tenant, its operator, or its second operator, who confirms what one alone may not.

        NotConnected says what is missing.
        """
        names = ("MUSTER_URL", "MUSTER_CLIENT_ID", "MUSTER_CLIENT_SECRET")
        given = [os.environ.get(name, "") for name in names]
        if all(given):
            return cls(*given)
        if name := profiles.chosen_name():
            return cls.of(profiles.named(name))
        if not os.environ.get("MUSTER_VAR") and not second and (found := profiles.current(operator=operator)):
            return cls.of(found)
        path = Path(os.environ.get("MUSTER_VAR") or "var") / "run.json"
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
            if not (operator or second) and not run["tenants"]:
                raise NotConnected(f"{path} names no tenant yet")
            who = run["second_operator"] if second else run["operator"] if operator else run["tenants"][0]
            return cls(given[0] or run["url"], given[1] or who["client_id"], given[2] or who["client_secret"])
        except FileNotFoundError as error:
            missing = f"`muster login`, or set {', '.join(names)}, or run Muster here (`make run` writes {path})"
            raise NotConnected(missing) from error
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise NotConnected(f"{path} is not what `make run` writes ({type(error).__name__}: {error})") from error


Query = str | int | list[str] | None


class Muster(Operating, Importing, Listing, Templating, Approving):
    """The API as one caller sees it. Every method raises ApiError where the API refuses; use it as a context."""

    def __init__(self, connection: Connection, *, transport: httpx.BaseTransport | None = None) -> None:
        self._connection = connection
        try:
            self._http = httpx.Client(base_url=connection.url, timeout=TIMEOUT_S, transport=transport)
        except (httpx.InvalidURL, ValueError) as error:
            raise NotConnected(f"{connection.url!r} is not the address of a server: {error}") from error
        self._token = ""
        self._token_until = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    # The plain calls

    def get(self, path: str, **query: Query) -> Any:
        """The JSON of a GET; query members that are None are left out."""
        return self._call("GET", path, params=_params(query))

    def post(self, path: str, body: object = None, *, key: str | None = None) -> Any:
        """The JSON of a POST; `key` is the idempotency key, a fresh one by default."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Content-Type": "application/json"}
        return self._call("POST", path, content=json.dumps(body), headers=headers)

    def put(self, path: str, body: object, *, key: str | None = None) -> Any:
        """The JSON of a PUT; `key` is the idempotency key, a fresh one by default."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Content-Type": "application/json"}
        return self._call("PUT", path, content=json.dumps(body), headers=headers)

    def patch(self, path: str, body: object, *, key: str | None = None, if_match: str | None = None) -> Any:
        """The JSON of a PATCH; `key` is the idempotency key, a fresh one by default; if_match: the ETag of what was
        seen, where it must not have changed since."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Content-Type": "application/json"}
        headers |= {"If-Match": if_match} if if_match is not None else {}
        return self._call("PATCH", path, content=json.dumps(body), headers=headers)

    def delete(self, path: str, *, key: str | None = None) -> Any:
        """The JSON of a DELETE, None where it answers without any; `key` is the idempotency key, a fresh one by
        default."""
        return self._call("DELETE", path, headers={"Idempotency-Key": key or str(uuid.uuid4())})

    @contextmanager
    def download(self, path: str, media_type: str, **query: Query) -> Iterator[httpx.Response]:
        """A GET whose answer is a file of any length, to be read as it comes."""
        with self._streamed(path, {"Accept": media_type}, _params(query)) as response:
            yield response

    def upload(self, path: str, pieces: Pieces, headers: Mapping[str, str], **query: Query) -> Any:
        """The JSON of a POST of a file."""
        headers = {**headers, "Content-Length": str(pieces.size_bytes)}
        return self._call("POST", path, content=pieces, headers=headers, params=_params(query))

    @contextmanager
    def _streamed(
        self, path: str, headers: Mapping[str, str], params: httpx.QueryParams | None = None
    ) -> Iterator[httpx.Response]:
        headers = {**headers, "Authorization": f"Bearer {self._fresh_token()}"}
        with self._http.stream("GET", path, params=params, headers=headers) as response:
            if not response.is_success:
                response.read()
                self._answer(response)
            yield response

    def pages(self, path: str, **query: Query) -> Iterator[dict[str, Any]]:
        """Every item of a listing, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, cursor=cursor, **query)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _call(self, method: str, path: str, **options: Any) -> Any:
        headers = {**options.pop("headers", {}), "Authorization": f"Bearer {self._fresh_token()}"}
        return self._answer(self._tried(method, path, headers=headers, **options))

    def _tried(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A call repeated while the service is away or overloaded; writes carry a key, so repeating is harmless."""
        for attempt in range(1, TRIES_MAX + 1):
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError:
                if attempt == TRIES_MAX:
                    raise
            else:
                if response.status_code not in (429, 502, 503) or attempt == TRIES_MAX:
                    return response
            time.sleep(RETRY_PAUSE_S * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    @staticmethod
    def _answer(response: httpx.Response) -> Any:
        if response.is_success and not response.content:
            return None
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.is_success and isinstance(answer, dict):
            return answer
        nothing_of_ours = {"title": response.reason_phrase, "detail": f"not an answer of Muster: {response.text[:200]}"}
        raise ApiError(response.status_code, answer if isinstance(answer, dict) else nothing_of_ours)

    def _fresh_token(self) -> str:
        if time.monotonic() >= self._token_until:
            asked = _grant(self._connection)
            token = cast(shapes.Token, self._answer(self._tried("POST", "/v1/token", json=asked)))
            self._token = token["access_token"]
            self._token_until = time.monotonic() + token["expires_in"] - TOKEN_MARGIN_S
        return self._token

    # Credits

    def credits(self) -> shapes.Credits:
        """The account as it stands."""
        return cast(shapes.Credits, self.get("/v1/credits"))

    def top_up(self, tenant_id: str, credits: int, *, reason: str, reference: str) -> shapes.TopUp:
        """Grant credits to a tenant, as the operator; above the limit of one person the answer has a `state`, and a
        second operator confirms it."""
        body = {"tenant_id": tenant_id, "credits": credits, "reason": reason, "reference": reference}
        return cast(shapes.TopUp, self.post("/v1/credits/top-ups", body))

    def decide_top_up(self, tenant_id: str, top_up_id: str, act: str, *, reason: str | None = None) -> dict[str, Any]:
        """As an operator: `confirmation` (not by who asked for it), `rejection` or `reversal` with a reason."""
        body = {"tenant_id": tenant_id, **({"reason": reason} if reason is not None else {})}
        path = f"/v1/credits/top-ups/{segment(top_up_id)}/{act}"
        return cast(dict[str, Any], self.post(path, body))

    def transfer(
        self, from_id: str, to_id: str, credits: int, *, reason: str, key: str | None = None
    ) -> dict[str, Any]:
        """Move credits between a reseller and a sub-account; repeated with the same key they move once."""
        body = {"from_tenant_id": from_id, "to_tenant_id": to_id, "credits": credits, "reason": reason}
        return cast(dict[str, Any], self.post("/v1/credits/transfers", body, key=key))

    def change_wallet(self, **changes: object) -> dict[str, Any]:
        """Set caps, the alert and automatic top-ups; None ends one, what is left out stays."""
        return cast(dict[str, Any], self.patch("/v1/credits/settings", changes))

    # Sends

    def quote(self, text: str | None, audience: Mapping[str, Any] | None = None, **options: Any) -> shapes.Quote:
        """What a text to an audience takes: recipients, parts, credits, and who is left out.

        options: `template_id`, and perhaps `template_version`, instead of a text; `sender`, and `local_time`, at which
        each recipient is texted by the clock of their own zone.
        """
        written = {} if text is None else {"text": text}
        body = {**written, "audience": audience or {"all": True}, **options}
        return cast(shapes.Quote, self.post("/v1/quotes", body))

    def quoted(self, quote_id: str) -> shapes.Quote:
        """A quote as it was given, with the balance of now."""
        return cast(shapes.Quote, self.get(f"/v1/quotes/{segment(quote_id)}"))

    def send(self, quote_id: str, *, key: str | None = None, **options: Any) -> shapes.Bulk:
        """Confirm a quote; repeated with the same key it sends once. options: `send_by`, `partial`, and `overrides` of
        checks that block it, each with `check`, `country` and `reason`."""
        return cast(shapes.Bulk, self.post("/v1/bulk-sms", {"quote_id": quote_id, **options}, key=key))

    def bulk(self, bulk_id: str) -> shapes.Bulk:
        """A send as it stands."""
        return cast(shapes.Bulk, self.get(_send_path(bulk_id)))

    def checks(self, bulk_id: str) -> dict[str, Any]:
        """What was checked of a send by law before it was confirmed, as it was signed."""
        return cast(dict[str, Any], self.get(_send_path(bulk_id, "checks")))

    def verify_checks(self, bulk_id: str, copy: Mapping[str, Any]) -> dict[str, Any]:
        """Whether a copy (`signed`, `signature`) is signed by Muster (`valid`), and kept with its send (`kept`)."""
        return cast(dict[str, Any], self.post(_send_path(bulk_id, "checks", "verification"), dict(copy)))

    def confirm(self, bulk_id: str, credits: int) -> shapes.Bulk:
        """Agree to what a send costs that came to more than its quote."""
        return cast(shapes.Bulk, self.post(_send_path(bulk_id, "confirm"), {"credits": credits}))

    def again(self, bulk_id: str, *, failed: bool = False) -> shapes.Quote:
        """Quote a closed send again for those who certainly did not get it; `failed`: also for those of whom a receipt
        says so."""
        return cast(shapes.Quote, self.post(_send_path(bulk_id, "again"), {"failed": failed}))

    def control(self, bulk_id: str, act: str, reason: str = "") -> dict[str, Any]:
        """`stop`, `pause` or `resume` a send; a stop answers with exact counts, or with the state `stopping`."""
        return cast(dict[str, Any], self.post(_send_path(bulk_id, act), {"reason": reason}))

    def unknown(self, bulk_id: str) -> Iterator[dict[str, Any]]:
        """Messages of a send of which nobody knows whether the carrier took them."""
        return self.pages(_send_path(bulk_id, "unknown"))

    def answer_unknown(self, bulk_id: str, answer: str, reason: str = "") -> dict[str, Any]:
        """`charge` or `release` what is unknown of a send, where the rule of the business is to ask."""
        return cast(dict[str, Any], self.post(_send_path(bulk_id, "unknown"), {"answer": answer, "reason": reason}))

    def message(self, text: str, *, key: str | None = None, **options: Any) -> shapes.Message:
        """Send one message: `to` a number or a `customer_id`; repeated with the same key it is sent once.

        options: `message_class` "factual" (the default) or "marketing", `kind` "single" or "reminder", `send_by`,
        `sender`.
        """
        body = {"class" if name == "message_class" else name: value for name, value in options.items()}
        return cast(shapes.Message, self.post("/v1/messages", {"text": text, **body}, key=key))

    def messages(self, messages: Sequence[Mapping[str, Any]], *, key: str | None = None) -> shapes.Messages:
        """Send up to 100 messages with one request, each as the API knows one (`text`, `to` …): what became of each, in
        their order. One that is refused has its `problem`, and keeps none of the others back."""
        return cast(shapes.Messages, self.post("/v1/messages", {"messages": [*map(dict, messages)]}, key=key))

    def message_status(self, message_id: str) -> shapes.ReportRow:
        """What became of one message."""
        return cast(shapes.ReportRow, self.get(f"/v1/messages/{segment(message_id)}"))

    def stop_message(self, message_id: str, reason: str = "") -> dict[str, Any]:
        """Do not send one message, if it has not begun to leave; ApiError 409 where it is too late."""
        return cast(dict[str, Any], self.post(f"/v1/messages/{segment(message_id)}/stop", {"reason": reason}))

    def progress(self, bulk_id: str) -> shapes.Progress:
        """Live numbers of a send, from the report."""
        return cast(shapes.Progress, self.get(_send_path(bulk_id, "progress")))

    def watch(self, bulk_id: str) -> Iterator[shapes.Progress]:
        """Live numbers of a send: now, and again at each change, until it has ended and its receipts are in.

        Streams that end early are taken up again where they were; where there are too many, the numbers are asked for.
        """
        path, seen, retry_s = _send_path(bulk_id, "progress"), "", WATCH_RETRY_S
        while True:
            try:
                with self._streamed(path, {"Accept": "text/event-stream", "Last-Event-ID": seen}) as answer:
                    for event in read_events(answer.iter_lines()):
                        seen, retry_s = event.id or seen, event.retry_s or retry_s
                        if event.name:
                            yield cast(shapes.Progress, json.loads(event.data))
                        if event.name == "end":
                            return
            except httpx.TransportError:
                pass  # what cut the stream off, or keeps a new one from beginning, is seen by the call below
            except ApiError as refused:
                if refused.status not in (429, 502, 503):
                    raise
            time.sleep(retry_s)
            yield self.progress(bulk_id)

    # Schedules

    def add_schedule(self, body: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        """Keep a schedule; repeated with the same key there is one."""
        return cast(dict[str, Any], self.post("/v1/schedules", body, key=key))

    def schedule(self, schedule_id: str) -> dict[str, Any]:
        """A schedule as it stands, with what became of its last starts."""
        return cast(dict[str, Any], self.get(_schedule_path(schedule_id)))

    def schedule_starts(self, schedule_id: str) -> Iterator[dict[str, Any]]:
        """What became of each start of a schedule, the newest first."""
        return self.pages(_schedule_path(schedule_id, "occurrences"))

    def preview_when(self, when: Mapping[str, Any]) -> dict[str, Any]:
        """The next ten starts of a schedule that is not kept yet."""
        return cast(dict[str, Any], self.post("/v1/schedules/preview", {"when": when}))

    def preview_schedule(self, schedule_id: str) -> dict[str, Any]:
        """The next ten starts of a schedule."""
        return cast(dict[str, Any], self.get(_schedule_path(schedule_id, "preview")))

    def control_schedule(self, schedule_id: str, act: str, body: object = None) -> dict[str, Any]:
        """`pause` or `resume` a schedule, or `skip` its next start, which the body names: {"wall": …}."""
        return cast(dict[str, Any], self.post(_schedule_path(schedule_id, act), body))

    def archive_schedule(self, schedule_id: str) -> None:
        """Start nothing more of a schedule; its history stays."""
        self._call("DELETE", _schedule_path(schedule_id))

    def report(self, **filters: str | int | None) -> Iterator[shapes.ReportRow]:
        """Rows of the SMS Detail Report."""
        return cast(Iterator[shapes.ReportRow], self.pages("/v1/reports/sms", **filters))


def _grant(connection: Connection) -> dict[str, str]:
    """What a token is asked for with."""
    if connection.session_token:
        return {"grant_type": "refresh_token", "refresh_token": encodable(connection.session_token)}
    client_id, client_secret = encodable(connection.client_id), encodable(connection.client_secret)
    return {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}


def _params(query: Mapping[str, Query]) -> httpx.QueryParams:
    """Members of a query that are given; a list is one member for each of its values."""
    return httpx.QueryParams(
        [
            (name, encodable(str(one)))
            for name, value in query.items()
            if value is not None
            for one in (value if isinstance(value, list) else [value])
        ]
    )


def _send_path(bulk_id: str, *below: str) -> str:
    """The path of a send; an id stays one segment of it whatever it holds."""
    return "/".join(("/v1/bulk-sms", segment(bulk_id), *below))


def _schedule_path(schedule_id: str, *below: str) -> str:
    return "/".join(("/v1/schedules", segment(schedule_id), *below))
