"""What the README tells a new user to type works as it stands there."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import terminal
from e2e_world import World, eventually

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@contextmanager
def typing(text: str) -> Iterator[int]:
    """A terminal as standard input, at which somebody has typed this."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, text.encode())
        yield theirs
    finally:
        os.close(theirs)
        os.close(ours)


def test_the_commands_of_the_readme_text_a_new_customer_of_the_first_tenant(world: World) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ (.*\.venv/bin/muster .*)$", readme, re.MULTILINE)
    assert len(commands) > 5
    tenant = world.run["tenants"][0]["id"]
    env = {**os.environ, "MUSTER_VAR": str(world.stack.var)}
    for command in commands:
        words = command.replace("TENANT_ID", tenant)
        with typing("y\n") as stdin:
            done = subprocess.run(words, shell=True, cwd=ROOT, env=env, stdin=stdin, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    # The send to all, and the single message.
    eventually(lambda: world.stats(["+61412345678"]) == {"+61412345678": 2})


def test_the_main_job_at_a_terminal_shows_what_the_page_of_the_command_line_does(world: World, tmp_path: Path) -> None:
    written = tmp_path / "played.txt"
    # A process of its own: it forks, which one with threads must not.
    env = {**os.environ, "MUSTER_VAR": str(world.stack.var)}
    done = subprocess.run(
        [sys.executable, terminal.__file__, str(written)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    played, page = (terminal.compared(path.read_text(encoding="utf-8")) for path in (written, terminal.FILE))
    assert played == page, (
        "`python tests/e2e/terminal.py` on a running Muster and `python tests/contract/cli.py` write it anew"
    )


def test_the_programs_of_the_clients_page_run_as_they_stand(world: World) -> None:
    programs = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "client.md").read_text("utf-8"), re.M | re.S)
    assert len(programs) == 2
    world.operator.top_up(world.run["tenants"][0]["id"], 100, reason="for the programs", reference="client.md")
    env = {**os.environ, "MUSTER_VAR": str(world.stack.var)}
    for program in programs:
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"{program}: {done.stderr}"
        assert "credits" in done.stdout
