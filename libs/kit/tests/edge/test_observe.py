"""Logs are JSON, hold no telephone number, no text and no secret."""

import asyncio
import io
import json
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from muster.kit import clock, observe
from muster.kit.settings import ServiceSettings, load, secret

BULK = UUID("0192a000-1234-7000-8000-000012345678")


@pytest.mark.parametrize(
    ("written", "masked"),
    [
        ("to +61400000000 now", "to [number] now"),
        ("to +61 400 000 000.", "to [number]."),
        ("+1 (415) 555-0100", "[number]"),
        ("61400000000", "[number]"),
        ("0400 000 000", "[number]"),
        ("0400000000,0400000001", "[number],[number]"),
        (str(BULK), str(BULK)),
        (f"{BULK}-17", f"{BULK}-17"),
        ("2026-11-23 09:18:22", "2026-11-23 09:18:22"),
        ("1 of 1234567", "1 of 1234567"),
        ("127.0.0.1:20331", "127.0.0.1:20331"),
    ],
)
def test_numbers_are_masked_and_ids_are_not(written: str, masked: str) -> None:
    assert observe.mask_text(written) == masked


def test_masking_reaches_every_depth_and_type() -> None:
    event: dict[str, Any] = {
        "a": {"+61400000000": [61400000000, ("x 61400000000",)]},
        "b": b"61400000000",
        "c": 61400000000,
        "offset": 61400000000,
        "took_ms": 12345678901,
        "share": 0.123456789,
        "done": True,
        "id": BULK,
    }
    masked = observe.mask(None, "info", event)
    assert "61400000000" not in json.dumps({**masked, "offset": 0})
    assert (masked["offset"], masked["took_ms"], masked["share"]) == (61400000000, 12345678901, 0.123456789)
    assert (masked["done"], masked["id"]) == (True, str(BULK))


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged, in a process that is configured as in production."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    observe.configure("info", stream)
    try:
        yield stream
    finally:
        observe.render(logging.INFO, sys.stderr)
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(capture=False)


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_both_kinds_of_logging_are_one_json_object_a_line(written: io.StringIO) -> None:
    observe.logger("here").info("bulk.stopped", bulk_id=BULK, note="line\nbreak")
    logging.getLogger("elsewhere").warning("sent to %s", "+61400000000")
    logging.getLogger("elsewhere").debug("too quiet")
    ours, theirs = lines(written)
    assert (ours["event"], ours["module"], ours["bulk_id"]) == ("bulk.stopped", "here", str(BULK))
    assert (theirs["event"], theirs["module"], theirs["level"]) == ("sent to [number]", "elsewhere", "warning")
    assert ours["time"].endswith("Z")


async def test_a_line_says_what_its_task_is_about_and_not_what_others_are(written: io.StringIO) -> None:
    log = observe.logger("here")

    async def act(request: str) -> None:
        observe.about(request_id=request)
        await asyncio.sleep(0)
        observe.about_also(user_id=f"of {request}")
        await asyncio.sleep(0)
        log.info("acted", user_id="told") if request == "three" else log.info("acted")

    await asyncio.gather(act("one"), act("two"), act("three"))
    log.info("outside")
    said = [(line.get("request_id"), line.get("user_id")) for line in lines(written)]
    assert said == [("one", "of one"), ("two", "of two"), ("three", "told"), (None, None)]


def test_a_library_that_repeats_itself_is_written_once_in_ten_seconds_and_counted(written: io.StringIO) -> None:
    now = 100.0
    with clock.replaced(time.time_ns, lambda: now):
        for second in (100.0, 101.0, 109.9, 110.1, 110.2):
            now = second
            logging.getLogger("aiokafka.conn").error("no connection to node %s", second)
            logging.getLogger("elsewhere").error("each of these is written")
    theirs = [line for line in lines(written) if line["module"] == "aiokafka.conn"]
    assert [(line["event"], line.get("repeated")) for line in theirs] == [
        ("no connection to node 100.0", None),
        ("no connection to node 110.1", 2),
    ]
    assert len(lines(written)) == 2 + 5


def test_exceptions_tell_where_and_not_what_a_library_quotes(written: io.StringIO) -> None:
    log = observe.logger("here")
    try:
        try:
            raise asyncpg.UniqueViolationError("Key (text)=(Dear Ann) already exists")
        except asyncpg.PostgresError as error:
            raise RuntimeError("while sending to +61400000000") from error
    except RuntimeError:
        log.exception("send.failed")
    (line,) = lines(written)
    told = "\n".join(line["exception"])
    assert "Dear Ann" not in told
    assert "61400" not in told
    assert "UniqueViolationError sqlstate=23505" in told
    assert "test_observe.py" in told


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_DATABASE_APP", "postgresql://app:hunter2@127.0.0.1/db")
    settings = load(ServiceSettings)
    assert "hunter2" not in repr(settings) + str(settings.model_dump())
    assert secret(settings.database_app, "database_app").startswith("postgresql://app:hunter2")
    with pytest.raises(ValueError, match="MUSTER_DATABASE_WORKER is not set"):
        secret(settings.database_worker, "database_worker")


def test_a_wrong_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_HTTP_PORT", "hunter2")
    with pytest.raises(ValueError, match="http_port") as wrong:
        load(ServiceSettings)
    assert "hunter2" not in str(wrong.value)


def test_secrets_come_from_files_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "muster_database_app").write_text("postgresql://127.0.0.1/from-a-file\n")
    monkeypatch.setenv("MUSTER_SECRETS_DIR", str(tmp_path))
    assert secret(load(ServiceSettings).database_app, "database_app") == "postgresql://127.0.0.1/from-a-file"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ServiceSettings().http_port = 1
