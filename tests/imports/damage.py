"""Files of customers of which some rows are damaged, by seed, each with what it means.

    for row in rows(seed=7, count=1_000_000, share=0.01): row.line, row.person, row.code

Ten kinds of damage: KINDS says what becomes of each. The same seed gives the same file.
"""

import csv
import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

HEADER: Final = (
    *("Customer no", "First name", "Last name", "Mobile", "Phone 2", "Allow Bulk SMS", "Consent", "Language", "Tags"),
    *("Last visit", "Spent", "Notes"),
)
FIELDS: Final = {"last_visit": "date", "spent": "number"}
"""Own fields of the file that a business has defined, with their kinds."""

_DAY_ONE: Final = date(1899, 12, 30)
_KEPT: Final = 1_000  # rows of which one is repeated later
_MOBILE, _VISIT, _NOTES = (HEADER.index(name) for name in ("Mobile", "Last visit", "Notes"))


@dataclass(frozen=True, slots=True)
class Person:
    """Who a row means, as customer-svc is to keep them. numbers: mobiles first; own: by key, as stored."""

    first_name: str
    last_name: str
    mobiles: tuple[int, ...]
    others: tuple[int, ...]
    allow: bool | None
    consent: str
    language: str
    tags: tuple[str, ...]
    own: dict[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the file, and what is to become of it: a person, or a row that is left out for this reason. damage:
    one of KINDS, or "" for a row that has none."""

    line: bytes
    person: Person | None
    code: str
    damage: str


def _zero_lost(cells: list[str], digits: int) -> bytes:
    cells[_MOBILE] = str(digits)[2:]
    return _written(cells)


def _exponent(cells: list[str], digits: int) -> bytes:
    cells[_MOBILE] = f"{str(digits)[0]}.{str(digits)[1:]}E+10"
    return _written(cells)


def _day_as_number(cells: list[str], _: int) -> bytes:
    cells[_VISIT] = str((date.fromisoformat(cells[_VISIT]) - _DAY_ONE).days)
    return _written(cells)


def _digits_lost(cells: list[str], _: int) -> bytes:
    cells[_MOBILE] = "6.14E+10"
    return _written(cells)


def _letters(cells: list[str], _: int) -> bytes:
    cells[_MOBILE] = "ask at the desk"
    return _written(cells)


def _open_quote(cells: list[str], _: int) -> bytes:
    return b'"' + _written(cells).replace(b"\n", b" ").replace(b'"', b"")[:-1] + b"\n"


def _nul(cells: list[str], _: int) -> bytes:
    return _written(cells).replace(b"C", b"C\x00", 1)


def _other_encoding(cells: list[str], _: int) -> bytes:
    cells[1] = "Zoé"
    return _written(cells).replace("Zoé".encode(), "Zoé".encode("cp1252"))


def _formula(cells: list[str], _: int) -> bytes:
    cells[_NOTES] = "=HYPERLINK(1)"
    return _written(cells)


KINDS: Final[dict[str, tuple[str, Callable[[list[str], int], bytes] | None]]] = {
    "a leading zero that was lost": ("", _zero_lost),
    "a number as 6.1412345678E+10": ("", _exponent),
    "a day as a number": ("", _day_as_number),
    "a number as 6.14E+10": ("ambiguous", _digits_lost),
    "letters for a number": ("not_a_number", _letters),
    "a quote that is never closed": ("not_csv", _open_quote),
    "a NUL byte": ("not_text", _nul),
    "characters of another encoding": ("mixed_encoding", _other_encoding),
    "a formula": ("formula", _formula),
    "a person who was in an earlier row": ("duplicate_row", None),
}
"""What becomes of each kind: "" for one that is repaired and told, else the code with which its row is left out."""


def rows(*, seed: int, count: int, share: float) -> Iterator[Row]:
    """Rows behind the header; one of each 1 / `share` is damaged, by each kind in turn."""
    rng, names = random.Random(seed), list(KINDS)
    kept: list[bytes] = []
    damaged = 0
    for n in range(count):
        cells, person = _person(rng, n)
        if rng.random() >= share or not kept:
            line = _written(cells)
            if len(kept) < _KEPT:
                kept.append(line)
            yield Row(line, person, "", "")
            continue
        name = names[damaged % len(names)]
        damaged += 1
        code, spoil = KINDS[name]
        line = spoil(cells, person.mobiles[0]) if spoil else rng.choice(kept)
        yield Row(line, None if code else person, code, name)


def file_of(*, seed: int, count: int, share: float) -> bytes:
    """The whole file."""
    return _written(HEADER) + b"".join(row.line for row in rows(seed=seed, count=count, share=share))


def _person(rng: random.Random, n: int) -> tuple[list[str], Person]:
    number = f"{400_000_000 + n}"
    first, last = rng.choice(("Ana", "Bob", "Zoë", "Nguyễn", "Mary Jane")), f"S{n}"
    mobile = rng.choice((f"0{number}", f"+61{number}", f"0{number[:3]} {number[3:6]} {number[6:]}", f"+61 (0){number}"))
    landline = rng.random() < 0.1
    allow = rng.choice(("yes", "no", "", "x"))
    kind = "withdrawn" if rng.random() < 0.01 else rng.choice(("", "", "inferred", "none"))
    tags = rng.choice(((), ("vip",), ("vip", "colour")))
    visit = date(2024, 1, 1) + timedelta(days=rng.randrange(700))
    spent, notes = f"{rng.randrange(10_000)}.5", rng.choice(("", "", "two\nlines", 'says "hi"', "a, b"))
    cells = [
        *(f"C{n}", first, last, mobile, "(03) 9650 1234" if landline else "", allow, kind, rng.choice(("", "en"))),
        *("; ".join(tags), visit.isoformat(), spent, notes),
    ]
    settled = _settled({"yes": True, "x": True, "no": False, "": None}[allow], kind)
    own = {"customer_no": f"C{n}", "last_visit": visit.isoformat(), "spent": spent, "notes": notes.replace("\n", " ")}
    stored = {key: value for key, value in own.items() if value}
    others = (61_396_501_234,) if landline else ()
    return cells, Person(first, last, (int(f"61{number}"),), others, *settled, cells[7], tags, stored)


def _settled(allow: bool | None, kind: str) -> tuple[bool | None, str]:
    """Who withdrew allows nothing; a tick of which no more is said is inferred consent."""
    if kind == "withdrawn":
        return False, kind
    return allow, kind or ("inferred" if allow else "none")


def _written(cells: list[str] | tuple[str, ...]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
