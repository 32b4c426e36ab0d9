"""All words of the pages: a folder for each language, in it a file for each page.

`t("home.title")` is the entry `title` of home.toml. `{name}` stands for a value; numbers are written as the reader's
country does. An entry that is a table has a text for each plural form of its `n`.
"""

import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from muster.console.formats import Formats

Text = Callable[..., str]


@cache
def entries(language: str = "en") -> Mapping[str, Any]:
    """Every entry of a language: "page.name" -> a text, or a text for each plural form."""
    folder = files(__package__) / language
    found: dict[str, Any] = {}
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        page = file.name.removesuffix(".toml")
        found |= {f"{page}.{key}": value for key, value in tomllib.loads(file.read_text("utf-8")).items()}
    return found


def text_of(formats: Formats, language: str = "en") -> Text:
    """The function by which pages say something. KeyError for an entry that there is not."""
    known = entries(language)

    def text(key: str, **values: Any) -> str:
        entry = known[key]
        if isinstance(entry, dict):
            entry = entry.get(formats.plural(values["n"]), entry["other"])
        shown = {name: formats.number(one) if _is_number(one) else one for name, one in values.items()}
        return str(entry).format_map(shown)

    return text


def has(key: str) -> bool:
    """Whether there is an entry: for codes of the API, which may be more than are known here."""
    return key in entries()


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
