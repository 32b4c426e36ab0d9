"""`make clean` removes the running state and nothing else, without an environment."""

import os
import subprocess
import sys
from pathlib import Path

from muster.local.var import Lock, Secrets

ROOT = Path(__file__).parents[3]


def clean(var: Path) -> subprocess.CompletedProcess[str]:
    # Without site-packages: make clean also works where the environment is gone.
    command = [sys.executable, "-S", "-m", "muster.local.clean"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "deploy" / "local"), "MUSTER_VAR": str(var)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def used(var: Path) -> Lock:
    lock = Lock(var)
    lock.acquire()
    _ = Secrets(var)["key"]
    (var / "kafka" / "data").mkdir(parents=True)
    return lock


def test_a_folder_that_muster_used_is_removed_and_one_that_is_not_there_is_no_error(tmp_path):
    used(tmp_path / "var").release()
    for _ in range(2):
        done = clean(tmp_path / "var")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert not (tmp_path / "var").exists()


def test_what_muster_did_not_make_stays(tmp_path):
    used(tmp_path).release()
    (tmp_path / "letters").mkdir()
    assert clean(tmp_path).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["letters"]


def test_a_folder_that_muster_never_used_is_left_as_it_is(tmp_path):
    (tmp_path / "log").mkdir()
    assert clean(tmp_path).returncode == 0
    assert (tmp_path / "log").exists()


def test_while_muster_runs_nothing_is_removed_and_it_says_so(tmp_path):
    lock = used(tmp_path)
    done = clean(tmp_path)
    lock.release()
    assert done.returncode == 1
    assert f"make clean: another Muster runs in {tmp_path} (process {os.getpid()})" in done.stderr
    assert (tmp_path / "secrets.json").exists()
