"""The exit codes of the command `muster`: a script goes by them, so that they are said here and nowhere else."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended; `says` is what the documentation says of it."""

    says: str

    def __new__(cls, code: int, says: str) -> "ExitCode":
        """A code with its meaning."""
        one = int.__new__(cls, code)
        one._value_ = code
        one.says = says
        return one

    DONE = 0, "What was asked for is done."
    FAILED = 1, "It was refused, it failed, or somebody said no; standard error says why."
    WRONG_USE = 2, "The command is not written as `--help` says, or it asks and nobody can answer; nothing was done."
    NOT_CONNECTED = 3, "Nobody is signed in, or Muster does not answer: sign in, or try again."
    CREDITS_SHORT = (
        4,
        "The credits do not suffice; standard error says how many are missing. Nothing was sent; a quote was given.",
    )
    PARTLY = (
        5,
        "Part of it is done: rows were left out, numbers were refused, or a send ended early; standard error says how "
        "many. Where nothing at all was done it is 1.",
    )
    INTERRUPTED = 130, "Ctrl-C ended the command; a send or an import that was begun goes on."
