import asyncio
import dataclasses
import os
import signal
import sys
from pathlib import Path

import pytest

from muster.local import supervisor as supervisor_module
from muster.local.ports import free_port
from muster.local.probes import http_ok
from muster.local.process import Command, PartError, is_alive
from muster.local.supervisor import Part, Stage, Supervisor

FAKE = str(Path(__file__).with_name("fake_service.py"))


def fake(name: str, *words: str, stage: Stage = Stage.SERVICE, limit_s: float = 30.0) -> Part:
    port = free_port()
    command = Command((sys.executable, FAKE, str(port), *words))
    return Part(name, lambda: command, http_ok(port, "/"), stage, limit_s)


def python(name: str, code: str, limit_s: float = 30.0) -> Part:
    command = Command((sys.executable, "-c", code))
    return Part(name, lambda: command, http_ok(free_port(), "/"), limit_s=limit_s)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def supervisor(tmp_path, said):
    made = Supervisor(tmp_path / "log", say=said.append)
    yield made
    await made.stop()


async def new_pid(supervisor: Supervisor, name: str, old: int) -> int:
    while (pid := supervisor.pids()[name]) == old:  # noqa: ASYNC110 - bounded by the test's own limit
        await asyncio.sleep(0.02)
    return pid


async def test_a_killed_part_is_started_again_and_counted(supervisor, said):
    await supervisor.start(fake("a"), fake("b"))
    before = supervisor.pids()

    os.kill(before["a"], signal.SIGKILL)
    await new_pid(supervisor, "a", before["a"])
    await supervisor.wait_ready("a")

    assert supervisor.restarts == {"a": 1}
    assert supervisor.pids()["b"] == before["b"]
    assert any("a ended with code -9" in line for line in said)


async def test_a_held_part_stays_dead_until_it_is_released_and_one_that_was_ended_does_not_come_back(supervisor):
    await supervisor.start(fake("a"), fake("b"))
    before = supervisor.pids()
    supervisor.hold("a")
    for name in ("a", "b"):
        os.kill(before[name], signal.SIGKILL)
    await new_pid(supervisor, "b", before["b"])
    assert supervisor.pids()["a"] == before["a"]
    assert supervisor.codes == {"a": [-9], "b": [-9]}

    supervisor.release("a")
    await new_pid(supervisor, "a", before["a"])
    await supervisor.end("b")

    assert set(supervisor.pids()) == {"a"}


async def test_no_part_is_left_dead_for_longer_than_the_longest_wait(tmp_path, said):
    supervisor = Supervisor(tmp_path, say=said.append, back_off_max_s=0.01)
    await supervisor.start(fake("a"))
    for _ in range(3):
        pid = supervisor.pids()["a"]
        os.kill(pid, signal.SIGKILL)
        await new_pid(supervisor, "a", pid)
    await supervisor.stop()
    assert sum("starting it again in 0.01 s" in line for line in said) == 3


async def test_each_start_and_restart_is_told_so_that_process_ids_can_be_written_down(tmp_path):
    seen: list[dict[str, int]] = []
    supervisor = Supervisor(tmp_path, say=lambda _: None, on_change=lambda: seen.append(supervisor.pids()))
    await supervisor.start(fake("a"))
    first = supervisor.pids()["a"]
    os.kill(first, signal.SIGKILL)
    second = await new_pid(supervisor, "a", first)
    await supervisor.stop()
    assert seen == [{"a": first}, {"a": second}]


async def test_who_keeps_dying_is_started_again_after_longer_and_longer_waits(supervisor, said, monkeypatch):
    monkeypatch.setattr(supervisor_module, "_BACK_OFF_FIRST_S", 0.01)
    await supervisor.start(fake("a"))
    for _ in range(3):
        pid = supervisor.pids()["a"]
        os.kill(pid, signal.SIGKILL)
        await new_pid(supervisor, "a", pid)
    waits = [line.rsplit(" in ")[1] for line in said if "ended" in line]
    log = f" (log: {supervisor.log('a')})"
    assert waits == ["0.01 s", f"0.02 s{log}", f"0.04 s{log}"]


async def test_who_cannot_be_started_again_now_is_tried_until_it_can_be(supervisor, said, monkeypatch, tmp_path):
    monkeypatch.setattr(supervisor_module, "_BACK_OFF_FIRST_S", 0.01)
    part = fake("a")
    program = tmp_path / "python"
    program.symlink_to(sys.executable)
    command = Command((str(program), *part.command().argv[1:]))
    await supervisor.start(dataclasses.replace(part, command=lambda: command))
    pid = supervisor.pids()["a"]
    program.unlink()
    os.kill(pid, signal.SIGKILL)
    while not any("a could not be started: [Errno 2]" in line for line in said):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    program.symlink_to(sys.executable)
    await new_pid(supervisor, "a", pid)


async def test_a_restart_that_cannot_be_written_down_is_told_until_it_can_be(tmp_path, said, monkeypatch):
    monkeypatch.setattr(supervisor_module, "_BACK_OFF_FIRST_S", 0.01)
    seen: list[dict[str, int]] = []

    def write_down() -> None:
        seen.append(supervisor.pids())
        if len(seen) in (2, 3):
            raise OSError("no space left on device")

    supervisor = Supervisor(tmp_path, say=said.append, on_change=write_down)
    await supervisor.start(fake("a"))
    pid = supervisor.pids()["a"]
    os.kill(pid, signal.SIGKILL)
    await new_pid(supervisor, "a", pid)
    while len(seen) < 4:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await supervisor.stop()
    assert seen[1:] == [seen[-1]] * 3
    assert [line for line in said if "written down" in line] == [
        "  the new process ids could not be written down: no space left on device"
    ]


async def test_a_part_that_ends_at_once_is_reported_with_its_last_lines_and_its_log(supervisor):
    with pytest.raises(PartError) as failed:
        await supervisor.start(python("broken", "import sys; print('no such database'); sys.exit(3)"))
    message = str(failed.value)
    assert "broken did not come up: it ended with code 3" in message
    assert "no such database" in message
    assert str(supervisor.log("broken")) in message


async def test_a_part_whose_program_or_folder_is_not_there_is_named(supervisor, tmp_path):
    missing = Command((str(tmp_path / "none"),))
    with pytest.raises(PartError, match=r"broken did not come up: \[Errno 2\] No such file or directory: .*none"):
        await supervisor.start(dataclasses.replace(fake("broken"), command=lambda: missing))

    def no_folder() -> None:
        (tmp_path / "file").touch()
        (tmp_path / "file" / "data").mkdir()

    with pytest.raises(PartError, match=r"store did not come up: \[Errno 20\] Not a directory: .*data"):
        await supervisor.start(dataclasses.replace(fake("store"), prepare=no_folder))


async def test_a_part_that_never_gets_ready_is_reported_after_its_limit_and_ended(supervisor):
    with pytest.raises(PartError, match=r"slow did not come up: not ready after 0 s: ConnectionRefusedError"):
        await supervisor.start(python("slow", "import time; time.sleep(600)", limit_s=0.3))
    children = [child.process.pid for child in supervisor._starting.values()]
    await supervisor.stop()
    assert [pid for pid in children if is_alive(pid)] == []


async def test_parts_are_ended_services_first_and_stores_last(tmp_path, supervisor):
    order = tmp_path / "order"
    code = (
        "import signal, sys, pathlib, http.server\n"
        "def end(*_):\n"
        "    open({order!r}, 'a').write({name!r} + ' '); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "http.server.HTTPServer(('127.0.0.1', {port}), http.server.SimpleHTTPRequestHandler).serve_forever()\n"
    )
    parts = []
    for name, stage in (("store", Stage.STORE), ("service", Stage.SERVICE), ("edge", Stage.EDGE)):
        port = free_port()
        command = Command((sys.executable, "-c", code.format(order=str(order), name=name, port=port)), cwd=tmp_path)
        parts.append(Part(name, lambda command=command: command, http_ok(port, "/"), stage))
    await supervisor.start(*parts)

    await supervisor.stop()

    assert order.read_text().split() == ["service", "edge", "store"]


def test_all_that_is_waited_for_after_ctrl_c_ends_within_ten_seconds():
    assert sum(supervisor_module._STOP_LIMIT_S[stage] for stage in Stage) < 10


async def test_who_ignores_the_signal_to_end_is_killed(supervisor, monkeypatch):
    monkeypatch.setitem(supervisor_module._STOP_LIMIT_S, Stage.SERVICE, 0.2)
    await supervisor.start(fake("stubborn", "stubborn"))
    pid = supervisor.pids()["stubborn"]
    await supervisor.stop()
    assert not is_alive(pid)


async def test_a_command_that_fails_is_reported_with_its_output(supervisor):
    fails = Command((sys.executable, "-c", "raise SystemExit('relation exists already')"))
    works = Command((sys.executable, "-c", "pass"))
    with pytest.raises(PartError, match=r"credit.migrate did not come up(.|\n)*relation exists already"):
        await supervisor.run_once({"tenant.migrate": works, "credit.migrate": fails})


async def test_a_log_begins_with_the_run_and_the_one_before_is_kept_beside_it(supervisor):
    supervisor.log("a").parent.mkdir()
    supervisor.log("a").write_text("before")
    await supervisor.start(fake("a"))
    assert supervisor.log("a").read_text() == ""
    assert supervisor.log("a").with_name("a.log.1").read_text() == "before"
