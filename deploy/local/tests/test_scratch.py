"""Folders for the servers of tests: in memory where there is room, and gone afterwards."""

import os
import shutil
import subprocess
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest

from muster.local import scratch as module
from muster.local.scratch import scratch

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A memory disk with room, beside a folder for temporary files on a real one."""
    monkeypatch.delenv("TMPDIR", raising=False)
    folders = [tmp_path / name for name in ("memory", "disk")]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(module, "_MEMORY", folders[0])
    monkeypatch.setattr(tempfile, "tempdir", str(folders[1]))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 8 << 30))
    monkeypatch.setattr(module, "_MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemFree: 1 kB\nMemAvailable:    8000000 kB\n")
    return folders[0]


def where(prefix: str = "of-a-test-") -> str:
    with scratch(prefix) as folder:
        assert folder.is_dir()
        assert folder.stat().st_mode & 0o777 == 0o711
    assert not folder.exists()
    return folder.parent.name


def test_a_folder_is_in_memory_where_there_is_room_and_is_gone_afterwards(memory: Path) -> None:
    assert where() == "memory"


def test_whoever_says_where_temporary_files_go_is_heard(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(memory.with_name("disk")))
    assert where() == "disk"


@pytest.mark.parametrize("free", [0, (3 << 30) - 1])
def test_a_memory_disk_that_is_small_is_left_alone(memory: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    assert where() == "disk"


@pytest.mark.parametrize("says", ["MemAvailable: 3145727 kB\n", "MemTotal: 99999999 kB\n", "", None])
def test_memory_that_others_need_or_that_nobody_counts_is_left_alone(memory: Path, says: str | None) -> None:
    meminfo = memory.with_name("meminfo")
    if says is None:
        meminfo.unlink()
    else:
        meminfo.write_text(says)
    assert where() == "disk"


def test_where_there_is_no_memory_disk_the_disk_is_used(memory: Path) -> None:
    memory.rmdir()
    assert where() == "disk"


def test_what_killed_runs_left_is_removed_in_both_places_and_what_others_use_stays(memory: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait(10)
    names = [f"of-a-test-{pid}-x" for pid in (ended.pid, os.getpid())] + ["of-a-test-by-hand", f"other-{ended.pid}-x"]
    disk = memory.with_name("disk")
    for parent in (memory, disk):
        for name in names:
            (parent / name).mkdir()
    assert where() == "memory"
    for parent in (memory, disk):
        assert sorted(one.name for one in parent.iterdir()) == sorted(names[1:])
