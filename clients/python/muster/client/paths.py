"""Parts of an address, whatever they hold."""

from urllib.parse import quote


def segment(given: str) -> str:
    """One segment of a path, whatever it holds."""
    return quote(encodable(given), safe="") or "-"


def encodable(text: str) -> str:
    """A text without the halves of characters that arguments hold which are not UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
