import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TARGETS = [
    "setup",
    "demo",
    "run",
    "test",
    "lint",
    "proto",
    "bench",
    "sim",
    "chaos",
    "chart",
    "clean",
    "help",
    "browser",
    "screenshots",
]


BROWSER = " $(STAMPS)/chromium"
IN_A_BROWSER = {"test", "browser", "screenshots"}


def make(*words: str) -> str:
    return subprocess.run(
        ["make", "--no-print-directory", *words], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_help_lists_every_target_with_what_it_does():
    listed = dict(line.split(maxsplit=1) for line in make("help").splitlines())
    assert {*TARGETS, "lock"} == set(listed)
    assert make() == make("help")


@pytest.mark.parametrize("target", ["run", "demo"])
def test_what_make_starts_ends_when_make_is_killed(target):
    assert re.search(rf"-m muster\.local {target} --end-with-parent$", make("-n", target), re.MULTILINE)


@pytest.mark.parametrize("target", sorted({*TARGETS} - {"help", "clean", "setup"}))
def test_each_target_installs_first_what_it_needs(target):
    recipes = (ROOT / "Makefile").read_text(encoding="utf-8")
    (needs,) = re.findall(rf"^{target}: (.*?) ##", recipes, re.MULTILINE)
    # Nothing but what opens a browser waits for one to be installed.
    assert needs in {f"setup{BROWSER}", f"lint{BROWSER}"} if target in IN_A_BROWSER else needs in {"setup", "lint"}


@pytest.mark.parametrize(
    ("made_in", "python", "again"), [("{here}", True, False), ("/elsewhere", True, True), ("{here}", False, True)]
)
def test_an_environment_is_made_again_when_the_checkout_was_moved_or_its_python_is_gone(
    tmp_path, made_in, python, again
):
    for name in ("Makefile", "requirements.lock", "libs", "services", "clients", "deploy", "proto"):
        (tmp_path / name).symlink_to(ROOT / name)
    stamps = tmp_path / ".venv" / "stamps"
    stamps.mkdir(parents=True)
    for stamp in ("venv", "lock", "packages", "proto", "kafka"):
        (stamps / stamp).write_text(made_in.format(here=tmp_path) if stamp == "venv" else "")
    if python:
        (tmp_path / ".venv" / "bin").mkdir()
        (tmp_path / ".venv" / "bin" / "python").touch()
    planned = subprocess.run(["make", "-n", "setup"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert ("bootstrap.py venv" in planned) is again


def test_ci_runs_make_test_and_nothing_else():
    commands = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[1:]
    assert commands == ['cd "$(dirname "$0")/.." && exec make test']
