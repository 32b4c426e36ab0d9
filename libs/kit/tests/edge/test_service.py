"""What the processes of all services have in common."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from muster.kit import observe, repeat, service
from muster.kit.pg import Overloaded
from muster.kit.process import Process
from muster.kit.settings import ServiceSettings

ADMIN = "postgresql://admin@127.0.0.1"
APP, WORKER = "postgresql://notes_app:one@127.0.0.1/notes", "postgresql://notes_worker:two@127.0.0.1/notes"


@pytest.fixture(autouse=True)
def _named_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "_service", "notes")


async def nothing(_: Process[ServiceSettings]) -> None: ...


@pytest.mark.parametrize("arguments", [[], ["serve"], ["api", "now"]])
def test_an_unknown_command_is_exit_2_and_the_known_ones_are_named(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["main.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        service.main("notes", ServiceSettings, worker=nothing, api=nothing)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "usage: python -m muster.notes.main api|migrate|worker\n"


def test_a_wrong_setting_is_exit_2_and_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["main.py", "api"])
    monkeypatch.setenv("MUSTER_HTTP_PORT", "hunter2")
    monkeypatch.setenv("MUSTER_STOP_S_MAX", "31")
    with pytest.raises(SystemExit) as ended:
        service.main("notes", ServiceSettings, api=nothing)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "MUSTER_HTTP_PORT: Input should be a valid integer" in told
    assert "MUSTER_STOP_S_MAX: Input should be less than or equal to 30" in told
    assert "hunter2" not in told


async def test_migrations_get_the_passwords_of_the_settings_wherever_these_come_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Any] = []

    async def note(*args: Any, **kwargs: Any) -> None:
        given.append((args, kwargs))

    monkeypatch.setattr(service, "apply_migrations", note)
    settings = ServiceSettings(
        postgres=SecretStr(ADMIN), database_app=SecretStr(APP), database_worker=SecretStr(WORKER)
    )
    await service.migrate(Process(settings))
    assert given == [((ADMIN, "notes"), {"app_password": "one", "worker_password": "two", "tls": None})]


class Away:
    """Work that the database is away for, a few times."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)

    async def __call__(self) -> Any:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def test_work_is_tried_until_the_database_is_there_and_a_bug_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeat, "RETRY_S", 0)
    work = Away(Overloaded("away"), ConnectionRefusedError(), None, "not asked for")
    await repeat.until_done("work", work)
    assert work.outcomes == ["not asked for"]
    with pytest.raises(LookupError):
        await repeat.until_done("work", Away(LookupError("a bug")))


async def test_work_that_has_more_goes_on_and_a_failure_waits_for_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr("muster.kit.repeat.asyncio.sleep", noted)
    with pytest.raises(LookupError):
        await repeat.repeat("work", 60, Away(True, False, Overloaded("away"), LookupError("a bug")), pause_s=0.5)
    assert slept == [0.5, 60, 60]
