"""What the three levels of the proof share: which commit was tried, and their places in docs/proof.md."""

import subprocess
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[1] / "docs" / "proof.md"


def commit() -> str:
    """The commit that is tried; "+" at its end where files were changed since; "" where there is no repository."""

    def git(*words: str) -> str:
        return subprocess.run(("git", *words), capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def between(page: str, begin: str, end: str, made: str) -> str:
    """The page with this between its two marks, instead of what was there; ValueError where a mark is missing."""
    before, found, rest = page.partition(f"{begin}\n")
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{PAGE.name} has no place between {begin} and {end}")
    return f"{before}{begin}\n{made.rstrip()}\n{end}{after}"
