"""Random audiences and texts of which the quote must be the bill, each made of a number alone."""

import csv
import io
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Final

RATES: Final = {"AU": 1, "NZ": 2, "GB": 3}
"""Credits for a part. The United Kingdom has a route of its own, with references of 16 bits."""
WIDE: Final = "GB"
_NUMBERS: Final = {"AU": "+614{:08d}", "NZ": "+6421{:07d}", "GB": "+447400{:06d}"}
_FIRST: Final = {"AU": 60_000_000, "NZ": 1_000_000, "GB": 100_000}

HEADER: Final = (
    *("First name", "Last name", "Mobile", "Allow Bulk SMS", "Language", "Tags"),
    *("Pet", "Due", "Owed", "Note"),
)
KINDS: Final = {"due": "date", "owed": "number", "note": "free"}
"""Own fields that are no plain texts."""

# What costs one septet, two, or makes the whole text UCS-2; what a part may not be cut in.
_ALPHABETS: Final = (
    string.ascii_letters + " .,!?",
    string.ascii_letters + "éèàùÄÖÜß£¥ΔΣ",
    "ab]€|^~ ",
    "abc łőș’“”–…",
    "ab😀🏴󠁧󠁢󠁥󠁮󠁧󠁿👩‍👩‍👧‍👦",
    "שלום عربى 中文 हिन्दी",
)
_FAMILY: Final = "👩🏽‍❤️‍💋‍👩🏿👨‍👩‍👧‍👦"
_NAMES: Final = (
    *(
        "Ana",
        "Zoë",
        "Zoő",
        "Łukasz",
        "李雷",
        "O’Neil",
        "Bo]",
        "€lla",
        "😀 Bo",
        "{x}",
        "Ann|e",
        "a\\{b",
        "<3 Jo",
        "J.R.",
    ),
    *("Maximiliane-Theodora von und zu Hohenstein", "Æ", "أنا", "İpek", "x" * 70, "é" * 31),
)
_PETS: Final = ("", "", "Rex", "Waldi ’n’ Co", "🐕‍🦺", "[dog]", "<b>Bello</b>", "<b></b>", "12", "x" * 40)
_LANGUAGES: Final = ("", "", "en", "de", "de-AT", "DE_ch", "fr", "pt_BR", "pt", "xx")
_OTHERS: Final = ("de", "fr", "pt", "pt-BR")
_FIELDS: Final = (
    *("{first_name}", "{first_name|there}", "{{last_name|}}", "{pet}", "{pet|🐾}", "{pet|}", "{due:long|soon}"),
    *("{due|}", "{due:short|–}", "{due:plain|}", "{owed|0}", "{owed:plain|}", "{note|}", "{language|}"),
)
_NOTICES: Final = (
    {"identity": "{business}: ", "reply": "Reply STOP to opt out", "by_link": "Opt out: {link}"},
    {"identity": "From {business} – ", "reply": "STOP to end", "by_link": "Unsubscribe [{link}]"},
    {"identity": "{business} ", "reply": "Txt STOP 2 end ✂", "by_link": "Opt out {link}"},
)
# Units at which one part more begins, of both alphabets and both kinds of references.
_EDGES: Final = (70, 132, 134, 160, 198, 201, 304, 306, 456, 459, 804, 1_836)

_unused: Final = {country: count(first) for country, first in _FIRST.items()}
"""Subscriber numbers that no other test gives, and no other send of this one."""


@dataclass(frozen=True, slots=True)
class Case:
    """A send: its people as rows under HEADER, the text in the languages that it has, each with what fills it up, and
    how it is sent."""

    seed: int
    rows: list[list[str]]
    texts: dict[str, tuple[str, str]]
    by_name: bool
    message_class: str
    notices: dict[str, str]

    @property
    def tag(self) -> str:
        """Whom it is for."""
        return f"bill{self.seed}"

    @property
    def again(self) -> str:
        """How it is repeated."""
        return f"BILL_SENDS=1 BILL_SEED={self.seed} pytest tests/e2e/test_bill.py"

    def worded(self, filled: float) -> dict[str, str]:
        """The texts, with so much of what fills them up."""
        return {language: text + filler[: int(len(filler) * filled)] for language, (text, filler) in self.texts.items()}

    @property
    def file(self) -> bytes:
        """Its people, to be imported."""
        return written(self.rows)


PROBES: Final = [_NUMBERS[country].format(next(_unused[country])) for country in RATES]
"""A number of each country."""


def written(rows: list[list[str]]) -> bytes:
    """Rows under HEADER as a file."""
    file = io.StringIO()
    csv.writer(file).writerows([HEADER, *rows])
    return file.getvalue().encode()


def cases(first: int, number: int, people_max: int) -> Iterator[Case]:
    """So many, each of a seed of its own."""
    return (_case(seed, people_max) for seed in range(first, first + number))


def _case(seed: int, people_max: int) -> Case:
    chance = random.Random(seed)
    tag = f"bill{seed}"
    # Few countries in some, all of them in others; the share of odd names differs too.
    countries = chance.choice((("AU",), ("AU", "NZ"), ("GB",), tuple(RATES)))
    oddness = chance.choice((0.0, 0.1, 0.6))
    rows = [_person(chance, chance.choice(countries), oddness, tag) for _ in range(chance.randint(1, people_max))]
    # A number that two people share is texted once.
    rows += [[*_person(chance, "AU", oddness, tag)[:2], row[2], *row[3:]] for row in rows if chance.random() < 0.1]
    # Whom nothing keeps out.
    rows.append(["Ana", "Ng", _number("AU"), "yes", "", tag, "Rex", "2026-05-01", "12.5", "ring"])
    several = chance.random() < 0.4
    languages = ["", *(one for one in _OTHERS if several and chance.random() < 0.7)]
    return Case(
        seed,
        rows,
        {language: _text(chance, oddness) for language in languages},
        chance.random() < 0.4,
        chance.choice(("marketing", "marketing", "factual")),
        chance.choice(_NOTICES),
    )


def _person(chance: random.Random, country: str, oddness: float, tag: str) -> list[str]:
    odd = chance.random() < oddness
    first = chance.choice(_NAMES) if odd else "A" * chance.randint(1, 12)
    due = date(2026, 1, 1) + timedelta(chance.randint(0, 900))
    owed = f"{chance.randint(-99_999, 9_999_999) / chance.choice((1, 10, 100)):.{chance.choice((0, 1, 2))}f}"
    note = chance.choice(("", "line one\nline two", "<i>free</i>", "ring twice"))
    return [
        first if chance.random() < 0.95 else "",
        chance.choice(_NAMES) if odd else chance.choice(("", "Smith", "Ng")),
        _number(country),
        "no" if chance.random() < 0.07 else "yes",
        chance.choice(_LANGUAGES),
        tag,
        chance.choice(_PETS) if odd else chance.choice(("", "Rex")),
        due.isoformat() if chance.random() < 0.8 else "",
        owed if chance.random() < 0.8 else "",
        note if odd else "",
    ]


def _number(country: str) -> str:
    return _NUMBERS[country].format(next(_unused[country]))


def _text(chance: random.Random, oddness: float) -> tuple[str, str]:
    """Pieces and fields in any order, and what fills them up to about where a part ends."""
    alphabet = chance.choice(_ALPHABETS) if oddness else chance.choice(_ALPHABETS[:3])
    pieces = [_words(chance, alphabet, chance.randint(1, 40)) for _ in range(chance.randint(1, 4))]
    pieces += chance.sample(_FIELDS, chance.randint(0, 4))
    pieces += [chance.choice((_FAMILY, r"\{braces\}", "]" * 20))] if oddness and chance.random() < 0.5 else []
    chance.shuffle(pieces)
    missing = chance.choice(_EDGES) + chance.randint(-8, 8) - sum(map(len, pieces))
    return "".join(pieces) + ".", chance.choice(alphabet[:2]) * max(0, missing)


def _words(chance: random.Random, alphabet: str, length: int) -> str:
    return "".join(chance.choice(alphabet) for _ in range(length)).strip() or "x"
