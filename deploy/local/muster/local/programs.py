"""Where the programs of the virtual environment are."""

import sys
from pathlib import Path


def program(name: str) -> str:
    """The path of a program that a package installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """The arguments that run a module with this Python."""
    return (sys.executable, "-m", name, *arguments)
