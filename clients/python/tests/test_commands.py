"""The command as its user runs it: what it prints, how it exits, and that no mistake ends in a traceback."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from muster.client.commands import main
from muster.client.exits import ExitCode

FACTS = json.loads((Path(__file__).parents[3] / "libs/text/tests/segments.json").read_text("utf-8"))
Run = Callable[..., "Ran"]


class Ran:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def answers(self) -> list[Any]:
        """Standard output as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def command(*arguments: str, given: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return Ran(int(ended.value.code or 0), *capsys.readouterr())

    return command


class Api:
    """A server that answers what it was told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {"/v1/token": (200, {"access_token": "t", "expires_in": 900})}
        self.asked: list[tuple[str, str, Any]] = []


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    known = Api()

    class Answering(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            known.asked.append((self.command, self.path, json.loads(body) if body else None))
            status, content = known.answers.get(self.path.partition("?")[0], (404, {"title": "Not found"}))
            sent = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = _answer  # noqa: N815 - the names that the server calls

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    connect(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    yield known
    server.shutdown()
    server.server_close()


def connect(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name, value in (("URL", url), ("CLIENT_ID", "id"), ("CLIENT_SECRET", "secret")):
        monkeypatch.setenv(f"MUSTER_{name}", value)


def text_of(vector: dict[str, Any]) -> str:
    return vector["text"] if "text" in vector else vector["repeat"][0] * vector["repeat"][1]


def test_each_checked_text_is_answered_with_its_parts_line_by_line(run: Run) -> None:
    asked = [(vector, bits) for vector in FACTS["vectors"] for bits in (8, 16)]
    lines = [json.dumps({"text": text_of(vector), "reference_bits": bits}) for vector, bits in asked]
    ran = run("parts", "--json", given="\n".join(lines).encode())
    assert ran.code == 0
    for (vector, bits), answer in zip(asked, ran.answers, strict=True):
        segments = vector["segments" if bits == 8 else "segments_ref16"]
        if vector["must_refuse"] or segments > 255:
            assert answer.keys() == {"error"}
            continue
        assert (answer["encoding"], answer["units"]) == (vector["encoding"], vector["units"])
        assert answer["segments"] == segments == len(answer["parts"])
        if bits == 8 and vector["parts"]:
            assert answer["parts"] == vector["parts"]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"nope", "not JSON"),
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"text": "a", "reference_bits": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b"[1]", "text"),
        (b'{"text": 1}', "text"),
        (b'{"text": "a", "reference_bits": true}', "reference_bits"),
        (b'{"text": ""}', "empty"),
        (b'{"text": "\\ud800"}', "unpaired_surrogate"),
        (b'{"text": "\xff"}', "unpaired_surrogate"),
    ],
)
def test_a_line_that_cannot_be_counted_is_answered_by_why_and_the_next_is_counted(
    run: Run, line: bytes, named: str
) -> None:
    ran = run("parts", "--json", given=line + b'\n{"text": "ok"}\n')
    refused, counted = ran.answers
    assert named in refused["error"]
    assert (counted["units"], ran.code) == (2, 0)


@pytest.mark.parametrize(
    ("given", "units"), [(b"a\n", 1), (b"a\n\n", 2), (b"a\r\nb\r\n", 4), (b"a\r", 2), ("€".encode(), 2)]
)
def test_a_text_is_counted_as_it_stands_less_one_final_newline(run: Run, given: bytes, units: int) -> None:
    ran = run("parts", given=given)
    assert ran.code == 0
    assert ran.out.splitlines()[1].split() == ["units", str(units)]


@pytest.mark.parametrize("given", [b"", b"a" * 39_016, b"a\xffb"])
def test_a_text_that_cannot_be_sent_ends_with_1_and_why(run: Run, given: bytes) -> None:
    ran = run("parts", given=given)
    assert ran.code == 1
    assert ran.out.startswith("error")


def test_numbers_that_are_none_are_named_and_end_with_1(run: Run) -> None:
    ran = run("number", "--country", "au", "--json", "0412 345 678", "junk", "\udcff")
    assert [answer.get("e164", "none") for answer in ran.answers] == ["+61412345678", "none", "none"]
    assert ran.code == 1


def test_a_country_that_is_none_is_a_mistake_in_the_command(run: Run) -> None:
    ran = run("number", "--country", "XX", "0412345678")
    assert (ran.code, ran.out) == (2, "")
    assert "XX" in ran.err


def test_replies_are_read_one_a_line(run: Run) -> None:
    ran = run("reply", "read", "--json", given="STOP\nsee you at 10\n\xff\n".encode("latin-1"))
    assert [answer["verdict"] for answer in ran.answers] == ["opt_out", "none", "none"]


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("parts <&-", 1, ""),
        ("echo a | {} parts >/dev/full", 1, "No space left"),
        ("""yes '{{"text":"a"}}' | head -20000 | {} parts --json | head -1 >&2""", 0, '{"encoding"'),
    ],
)
def test_closed_and_full_streams_end_without_a_traceback(line: str, code: int, says: str) -> None:
    muster = f"{sys.executable} -m muster.client"
    command = line.format(muster) if "{}" in line else f"{muster} {line}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == code
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("url", ["nope", "http://", "http://[::1", "ftp://x", "http://a\x01", "http://127.0.0.1:1"])
def test_an_address_where_nobody_answers_is_named_with_what_to_do(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr("muster.client.connection._FIRST_PAUSE_S", 0)
    connect(monkeypatch, url)
    ran = run("credits", "show")
    assert (ran.code, ran.out) == (ExitCode.NOT_CONNECTED, "")
    assert ran.err.startswith("muster: ")
    assert ran.err.count("\n") == 1 or ran.err.endswith(
        "\n  if Muster is elsewhere: muster login --url URL, or MUSTER_URL\n"
    )


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"url": "http://x", "tenants": []}', '{"tenants": [1]}'])
def test_a_run_json_that_names_nobody_is_one_line_that_names_the_file(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"MUSTER_{name}", raising=False)
    monkeypatch.setenv("MUSTER_VAR", str(tmp_path))
    if content:
        (tmp_path / "run.json").write_text(content)
    ran = run("credits", "show", "--json")
    assert (ran.code, ran.out, ran.err.count("\n")) == (ExitCode.NOT_CONNECTED, "", 1)
    assert "run.json" in ran.err


@pytest.mark.parametrize("status", [200, 500])
def test_a_server_that_is_no_muster_is_told_apart(run: Run, api: Api, status: int) -> None:
    api.answers["/v1/token"] = (status, b"<html>hello</html>")
    ran = run("bulk", "list")
    assert (ran.code, ran.out) == (1, "")
    assert "not an answer of Muster" in ran.err


def test_a_refusal_names_each_field_on_a_line_of_its_own(run: Run, api: Api) -> None:
    problem = {"title": "No", "detail": "two things", "errors": [{"field": "text", "message": "empty"}]}
    api.answers["/v1/quotes"] = (422, problem)
    ran = run("send", "", "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "muster: 422 No\n  text: empty\n"


def test_what_is_not_found_says_where_to_look(run: Run, api: Api) -> None:
    ran = run("bulk", "show", "gone")
    assert (ran.code, ran.err) == (1, "muster: 404 Not found\n  what there is: muster bulk list\n")


def test_what_customers_wrote_is_shown_as_it_stands_and_steers_no_terminal(run: Run, api: Api) -> None:
    api.answers["/v1/reports/sms"] = (
        200,
        {"items": [{"text": "[/b] :smile: \x1b[31m\nx" + "y" * 200, "erased": False}], "next_cursor": None},
    )
    ran = run("report")
    assert ran.code == 0
    assert r"[/b] :smile: \x1b[31m " in ran.out
    assert "x" + "y" * 200 in ran.out, "a line break is one"
    assert r"\n" not in ran.out


def test_a_narrow_terminal_cuts_no_id_and_no_figure_and_times_are_read_to_the_second(
    run: Run, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk: dict[str, Any] = {"id": "01a2199b-2a24-7f6a-97f3-5b153042c2ba", "credits_used": 1_234_567, "state": "closed"}
    bulk |= {"created_at": "2026-11-26T20:45:28.996146Z", "recipients": 3, "credits_reserved": 3, "credits_released": 0}
    api.answers["/v1/bulk-sms"] = (200, {"items": [bulk], "next_cursor": None})
    for name, value in {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    for columns, is_table in (("60", False), ("100", False), ("130", True)):
        monkeypatch.setenv("COLUMNS", columns)
        shown = run("bulk", "list").out
        assert [what in shown for what in (bulk["id"], "2026-11-26 20:45:28 UTC", "1,234,567", "closed")] == [True] * 4
        assert ("…" in shown, "┃" in shown) == (False, is_table)
        assert max(map(len, shown.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines())) <= int(columns)


def test_a_listing_of_nothing_is_said_on_standard_error_and_is_no_table(run: Run, api: Api) -> None:
    api.answers["/v1/bulk-sms"] = (200, {"items": [], "next_cursor": None})
    ran = run("bulk", "list")
    assert (ran.code, ran.out, ran.err) == (0, "", "Nothing there.\n")
    ran = run("bulk", "list", "--json")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_an_id_stays_one_segment_of_the_path_whatever_it_holds(run: Run, api: Api) -> None:
    assert run("bulk", "stop", "../a?b\x01\udcff").code == 1
    assert api.asked[-1][:2] == ("POST", "/v1/bulk-sms/..%2Fa%3Fb%01%EF%BF%BD/stop")


@pytest.mark.parametrize(("state", "code"), [("closed", 0), ("refused", 1), ("needs_confirmation", 1)])
def test_a_send_prints_its_quote_and_its_end_and_exits_1_where_nothing_was_sent(
    run: Run, api: Api, state: str, code: int
) -> None:
    api.answers["/v1/quotes"] = (201, {"id": "q", "recipients": 3, "credits": 3})
    api.answers["/v1/bulk-sms"] = (202, {"id": "b", "state": "planning"})
    told = {"id": "b", "state": state, "credits": 4, "problem": {"detail": "why it is so"}}
    api.answers["/v1/bulk-sms/b"] = (200, told)
    ran = run("send", "Hi \udcff", "--yes", "--json")
    assert ran.code == code
    assert ("muster bulk confirm b 4" in ran.err) == (state == "needs_confirmation")
    assert [answer["id"] for answer in ran.answers] == ["q", "b"]
    assert ("POST", "/v1/quotes", {"text": "Hi \udcff", "audience": {"all": True}}) in api.asked
    assert "why it is so" in run("bulk", "show", "b").out


def test_a_quote_says_what_costs_more_and_what_it_would_come_to_otherwise(run: Run, api: Api) -> None:
    character = {"text": "’", "name": "RIGHT SINGLE QUOTATION MARK", "replacement": "'", "positions": [2]}
    costly = {"message": "’ costs 3,912 credits", "characters": [character]}
    plain = {"message": "plain characters in the text", "parts": 1956, "credits": 1956, "at": None}
    plain["edits"] = [{"position": 2, "old": "’", "new": "'"}]
    quote = {"id": "q", "recipients": 1956, "credits": 5868, "advice": {"costly": [costly], "what_if": [plain]}}
    quote["added"] = [{"what": "way_out", "text": "Reply STOP", "language": "en"}]
    quote["warnings"] = [{"code": "approval_needed", "field": "audience", "message": "A second person approves it."}]
    quote["hours"] = {"waiting": [{"until": "2026-11-28T13:00:00Z", "recipients": 2}], "waiting_recipients": 2}
    api.answers["/v1/quotes"] = (201, quote)

    lines = run("quote", "It’s on").out.splitlines()
    assert [line for line in lines if "costs 3,912 credits" in line and "’ → '" in line]
    words = {" ".join(line.split()) for line in lines}
    assert {"added way out (en): Reply STOP", "warnings A second person approves it."} <= words
    assert "hours waiting until 2026-11-28 13:00:00 UTC, recipients 2, waiting recipients 2" in words
    assert [line for line in lines if "plain characters" in line and "1,956" in line and "3: ’ → '" in line]
    assert run("quote", "It’s on", "--json").answers == [quote]


def test_a_dearer_total_is_agreed_to_by_its_figure(run: Run, api: Api) -> None:
    api.answers["/v1/bulk-sms/b/confirm"] = (202, {"id": "b", "state": "planning"})
    assert run("bulk", "confirm", "b", "12").code == 0
    assert api.asked[-1] == ("POST", "/v1/bulk-sms/b/confirm", {"credits": 12})


def test_an_operator_lists_dead_letters_of_every_service_and_replays_one_with_a_reason(run: Run, api: Api) -> None:
    one = {"id": "l1", "type": "BulkSmsRequested", "topic": "bulk-sms", "reason": "Poison: no key", "attempts": 0}
    empty: dict[str, Any] = {"items": [], "next_cursor": None}
    for service in ("tenant", "customer", "dispatch", "reply", "report"):
        api.answers[f"/v1/ops/{service}/dead-letters"] = (200, empty)
    api.answers["/v1/ops/credit/dead-letters"] = (200, {"items": [one], "next_cursor": None})
    api.answers["/v1/ops/credit/dead-letters/l1/replay"] = (200, {**one, "state": "replayed"})
    api.answers["/v1/ops/credit/dead-letters/l1/drop"] = (409, {"title": "It was replayed already"})

    listed = run("ops", "dead-letters", "list", "--json")
    replayed = run("ops", "dead-letters", "replay", "credit", "l1", "--reason", "mended", "--json")
    dropped = run("ops", "dead-letters", "drop", "credit", "l1", "--reason", "twice", "--yes")

    assert listed.answers == [{"service": "credit", **one}]
    assert (replayed.code, replayed.answers[0]["state"]) == (0, "replayed")
    assert (dropped.code, dropped.err) == (1, "muster: 409 It was replayed already\n")
    assert ("POST", "/v1/ops/credit/dead-letters/l1/replay", {"reason": "mended"}) in api.asked
    assert run("ops", "dead-letters", "replay", "credit", "l1").code == 2


def test_an_operator_sees_what_is_halted_and_resumes_it(run: Run, api: Api) -> None:
    halted = {"topic": "bulk-sms", "partition": 3, "halted": "log_mismatch", "reason": "the log starts at 50"}
    api.answers["/v1/ops/report/consumers"] = (200, {"items": [halted], "next_cursor": None})
    api.answers["/v1/ops/report/consumers/resume"] = (200, {"topic": "bulk-sms", "partitions": [3]})

    shown = run("ops", "consumers", "--service", "report", "--halted", "--json")
    resumed = run("ops", "resume", "report", "bulk-sms", "--reason", "known", "--accept-loss", "--yes", "--json")

    assert shown.answers == [{"service": "report", **halted}]
    assert resumed.answers == [{"topic": "bulk-sms", "partitions": [3]}]
    assert api.asked[-1][2] == {"topic": "bulk-sms", "partition": None, "reason": "known", "accept_loss": True}
    assert "/v1/ops/report/consumers?halted=true" in [path for _, path, _ in api.asked]


def test_an_operator_sees_what_a_send_comes_to_as_each_service_has_it(run: Run, api: Api) -> None:
    for service in ("customer", "credit", "dispatch", "report"):
        row = {"tenant_id": "t", "bulk_id": "b", "used": 3}
        api.answers[f"/v1/ops/{service}/bulks"] = (200, {"items": [row], "next_cursor": None})

    rows = run("ops", "sums", "--json").answers

    assert [(one["service"], one["used"]) for one in rows] == [
        (service, 3) for service in ("customer", "credit", "dispatch", "report")
    ]
    assert [one["service"] for one in run("ops", "sums", "--service", "credit", "--json").answers] == ["credit"]
    assert run("ops", "sums", "--service", "reply").code == 2


def test_an_operator_suspends_a_tenant_and_stops_the_platform_with_a_reason(run: Run, api: Api) -> None:
    asked = {"reason": "fraud"}
    for path in ("tenants/t/suspend", "tenants/t/reinstate", "platform/stop", "platform/start"):
        api.answers[f"/v1/ops/dispatch/{path}"] = (200, {"path": path})

    for command in (("suspend", "t"), ("reinstate", "t"), ("stop-platform",), ("start-platform",)):
        done = run("ops", *command, "--reason", "fraud", "--json")
        assert ("POST", f"/v1/ops/dispatch/{done.answers[0]['path']}", asked) in api.asked
        assert run("ops", *command).code == 2, "never without a reason"

    assert len(api.asked) == 4 + 4


def test_an_operator_sees_who_is_suspended_and_how_the_platform_stands(run: Run, api: Api) -> None:
    row = {"tenant_id": "t", "since": "2026-11-26T10:00:00Z", "user_id": "op", "reason": "fraud"}
    api.answers["/v1/ops/dispatch/suspensions"] = (200, {"items": [row], "next_cursor": None})
    api.answers["/v1/ops/dispatch/platform"] = (200, {"stopped": True})

    assert run("ops", "suspensions", "--json").answers == [row]
    assert run("ops", "platform", "--json").answers == [{"stopped": True}]


def test_an_operator_lists_stuck_sends_and_resolves_one_with_a_reason(run: Run, api: Api) -> None:
    row = {"tenant_id": "t", "bulk_id": "b", "waits_for": "chunks", "since": "2026-11-26T10:00:00Z", "state": "sending"}
    api.answers["/v1/ops/dispatch/stuck"] = (200, {"items": [row], "next_cursor": None})
    api.answers["/v1/ops/dispatch/bulks/t/b/resolution"] = (200, {"state": "closed", "action": "end"})

    listed = run("ops", "stuck", "--waits-for", "chunks", "--older-than-s", "60", "--json")
    ended = run("ops", "resolve", "t", "b", "end", "--reason", "lost for good", "--yes", "--json")

    assert listed.answers == [row]
    assert "/v1/ops/dispatch/stuck?waits_for=chunks&older_than_s=60" in [path for _, path, _ in api.asked]
    assert ended.answers[0]["state"] == "closed"
    asked = {"action": "end", "reason": "lost for good"}
    assert ("POST", "/v1/ops/dispatch/bulks/t/b/resolution", asked) in api.asked
    assert run("ops", "resolve", "t", "b", "end").code == 2
    assert run("ops", "resolve", "t", "b", "burn", "--reason", "why").code == 2
