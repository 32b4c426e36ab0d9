"""Parts of an address, whatever they hold."""

import re
from typing import Final
from urllib.parse import parse_qs, quote, unquote

_STRANGE: Final = re.compile(r"[\x00-\x20\x7f\\#]")


def segment(given: str) -> str:
    """One segment of a path, whatever it holds."""
    return quote(encodable(given), safe="") or "-"


def encodable(text: str) -> str:
    """A text without the halves of characters that arguments hold which are not UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def own_path(given: str) -> tuple[str, dict[str, list[str]]]:
    """A path as somebody wrote it, which stays at the server that it is asked of, and the members of its query.

    ValueError says what is wrong: an address of a server, steps upwards, plain or encoded, and what no path holds.
    """
    path, _, query = encodable(given).partition("?")
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError("begin it with one /, such as /v1/customers: the server is that of the profile")
    if _STRANGE.search(given):
        raise ValueError("write spaces, \\, # and control characters as %20, %5C, %23 …")
    # A proxy on the way may take the steps that we leave in, and more than once.
    plain = path
    while (decoded := unquote(plain)) != plain:
        plain = decoded
    if not {".", ".."}.isdisjoint(re.split(r"[/\\]", plain)):
        raise ValueError("write it without . and .. between slashes")
    return path, parse_qs(query, keep_blank_values=True)
