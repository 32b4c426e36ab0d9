"""The command line of a process: which command runs, by which settings."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn, TypeVar

from pydantic import ValidationError

from muster.kit import observe
from muster.kit.process import Process, run
from muster.kit.settings import ProcessSettings, load

S = TypeVar("S", bound=ProcessSettings)


def run_program(
    service: str, settings: type[S], known: Mapping[str, Callable[[Process[S]], Awaitable[None]]]
) -> NoReturn:
    """Run the command of `known` that the first argument names.

    Exit code 2 for any other, and where a setting is wrong; standard error says which.
    """
    observe.name_service(service)
    command = known.get(sys.argv[1]) if len(sys.argv) == 2 else None
    if command is None:
        sys.stderr.write(f"usage: python -m muster.{service}.main {'|'.join(sorted(known))}\n")
        sys.exit(2)
    try:
        loaded = load(settings)
    except ValidationError as error:
        for one in error.errors(include_input=False):
            name = "".join(f"MUSTER_{part}: ".upper() for part in one["loc"][:1])
            sys.stderr.write(f"{name}{one['msg']}\n")
        sys.exit(2)
    run(command, loaded)
