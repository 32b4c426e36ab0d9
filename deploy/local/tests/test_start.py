"""Beginning and ending, without the parts."""

import os
import pty
import select
import subprocess
import sys

from muster.local.process import PAYMENT_TOKEN, Command, spawn

STARTER = """
import asyncio, contextlib, pathlib, sys
from muster.local.start import run

class Nothing(contextlib.AsyncExitStack):
    var = pathlib.Path(sys.argv[1])

async def use(stack, stopping):
    stack.callback(stack.var.write_text, "ended in order")
    print("running", flush=True)
    await stopping.wait()
    return 0

sys.exit(asyncio.run(run(Nothing(), use)))
"""
LIMIT_S = 60


def test_a_closed_terminal_ends_it_also_where_nobody_sends_it_a_signal(tmp_path):
    ours, its = pty.openpty()
    command = [sys.executable, "-c", STARTER, str(tmp_path / "said")]
    # In a session without a controlling terminal there is no SIGHUP, as there is none behind a make that leads one.
    process = subprocess.Popen(command, stdin=its, stdout=its, start_new_session=True)
    os.close(its)
    said = b""
    while b"running\r\n" not in said:
        assert select.select([ours], [], [], LIMIT_S)[0], said
        said += os.read(ours, 1024)

    os.close(ours)

    assert process.wait(LIMIT_S) == 0
    assert (tmp_path / "said").read_text() == "ended in order"


def test_what_only_one_part_may_know_is_not_handed_to_the_others(tmp_path, monkeypatch):
    monkeypatch.setenv(PAYMENT_TOKEN, "secret")
    asks = [sys.executable, "-c", f"import os; print(os.environ.get('{PAYMENT_TOKEN}'))"]

    for command in (Command(asks), Command(asks, {PAYMENT_TOKEN: "secret"})):
        assert spawn(command, tmp_path / "said").wait(LIMIT_S) == 0

    assert (tmp_path / "said").read_text() == "None\nsecret\n"
