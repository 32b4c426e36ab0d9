"""requirements.lock names every dependency by version and hash, and no place to get it from."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECTS = sorted(
    path
    for pattern in ("libs/*", "services/*", "clients/*", "deploy/local")
    for path in ROOT.glob(f"{pattern}/pyproject.toml")
)


def canonical(requirement: str) -> str:
    """The normalised name of a requirement, without extras, versions and markers."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;@]", requirement, maxsplit=1)[0]).lower()


LOCKED = {canonical(line) for line in LOCK.splitlines() if re.match(r"^[A-Za-z0-9]", line)}


def test_the_lock_names_no_host_no_path_and_no_package_of_ours():
    assert not re.search(r"://|^\s*-[efi]\b|^--(?!hash)| @ |file:|muster", LOCK, re.MULTILINE)


def test_every_line_of_the_lock_is_a_pinned_package_or_one_of_its_hashes():
    requirement = re.compile(r"^[a-z0-9-]+==[^ ]+( ; .+)? \\$")
    digest = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
    odd = [
        line
        for line in LOCK.splitlines()
        if not (line.startswith("#") or requirement.match(line) or digest.match(line))
    ]
    assert odd == []


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.parent.name)
def test_every_dependency_of_a_distribution_is_in_the_lock(project):
    content = tomllib.loads(project.read_text(encoding="utf-8"))
    optional = content["project"].get("optional-dependencies", {})
    named = [
        *content["project"]["dependencies"],
        *content["build-system"]["requires"],
        *(name for names in optional.values() for name in names),
    ]
    third_party = {canonical(name) for name in named if not canonical(name).startswith("muster-")}
    assert third_party - LOCKED == set()


def test_what_the_in_file_names_is_in_the_lock():
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    assert {canonical(line) for line in lines if line and not line.startswith("#")} - LOCKED == set()


def test_the_lock_can_build_our_packages():
    assert {"hatchling", "editables", "uv"} <= LOCKED
