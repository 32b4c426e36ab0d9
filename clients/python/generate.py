"""Makes the blocking client from the asynchronous one, word by word: `python clients/python/generate.py`."""

import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parent / "muster" / "client"
AIO, BLOCKING = CLIENT / "aio", CLIENT / "blocking"
# Each word of the one, and what it is in the other.
_WORDS = {
    r"await ": "",
    r"async (?=def |with |for )": "",
    r"\bAsyncIterator\b": "Iterator",
    r"\bAsyncMuster\b": "Muster",
    r"\bAsyncPieces\b": "Pieces",
    r"\bAsyncClient\b": "Client",
    r"\bAsyncBaseTransport\b": "BaseTransport",
    r"\basynccontextmanager\b": "contextmanager",
    r"\b__aenter__\b": "__enter__",
    r"\b__aexit__\b": "__exit__",
    r"\baclose\b": "close",
    r"\baread\b": "read",
    r"\baiter_lines\b": "iter_lines",
    r"\basyncio\b": "time",
    r"\bmuster\.client\.aio\b": "muster.client.blocking",
}
_SAID = {
    "The asynchronous client, of which the other one is made by generate.py.": "The client that waits for each call.",
    "for programs that wait for many things at once": "one call after the other",
}


def made(source: str) -> str:
    """A file of the blocking client, from its counterpart."""
    for word, other in _WORDS.items():
        source = re.sub(word, other, source)
    for said, other in _SAID.items():
        source = source.replace(said, other)
    return "# Made by generate.py.\n" + re.sub(
        r"^import time\n((?:import \w+\n)*?)import time\n", r"\1import time\n", source, flags=re.M
    )


def tidied(source: str) -> str:
    """As our linters have it."""
    for command in (["check", "--quiet", "--select", "I", "--fix-only"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(BLOCKING / "a.py"), "-"]
        source = subprocess.run(ruff, input=source, capture_output=True, text=True, check=True).stdout
    return source


def files() -> dict[Path, str]:
    """Each file of the blocking client, as it should be."""
    return {BLOCKING / path.name: tidied(made(path.read_text("utf-8"))) for path in sorted(AIO.glob("*.py"))}


if __name__ == "__main__":
    BLOCKING.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, "utf-8")
