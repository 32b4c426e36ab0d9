"""Customers as a file has them, by seed: a million rows of 12 columns, as CSV or as a workbook."""

import random
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Final

COLUMNS: Final = (
    *("First name", "Last name", "Mobile", "Allow Bulk SMS", "Consent", "Tags", "Language"),
    *("Customer no", "Email", "Suburb", "Visits", "Last visit"),
)
WRONG_EVERY: Final = 100
"""One row of so many has a number that is none."""
_FIRSTS: Final = (
    *("Ana", "Anna", "Andrew", "Ben", "Bella", "Charlie", "Chloe", "Daniel", "Emma", "Ethan", "Grace", "Hannah"),
    *("Harry", "Isla", "Jack", "James", "Jasmine", "Kate", "Liam", "Lucy", "Mia", "Noah", "Olivia", "Oscar", "Priya"),
    *("Quinn", "Ruby", "Sam", "Sophie", "Thomas", "Uma", "Victor", "William", "Xavier", "Yasmin", "Zoë", "Mary Ann"),
)
_BEGINNINGS: Final = (
    *("Sm", "Wil", "Bro", "Tay", "Ngu", "Joh", "Whi", "Mar", "And", "Tho", "Har", "Kel", "Sin", "Rob", "Wal", "Mc"),
    *("O'B", "De ", "Van der ", "Ber", "Cam", "Don", "Eli", "Fra", "Gra", "Hug", "Iva", "Jen", "Kha", "Lau", "Mor"),
)
_ENDINGS: Final = (
    *(
        "ith",
        "son",
        "wn",
        "lor",
        "yen",
        "nston",
        "te",
        "tin",
        "erson",
        "mas",
        "ris",
        "ly",
        "gh",
        "erts",
        "ker",
        "Donald",
    ),
    *(
        "rien",
        "Vries",
        "Berg",
        "nard",
        "pbell",
        "aldson",
        "zabeth",
        "nklin",
        "ham",
        "hes",
        "nov",
        "kins",
        "tri",
        "rence",
    ),
)
_SUBURBS: Final = ("Richmond", "Fitzroy", "Carlton", "Brunswick", "St Kilda", "Footscray", "Coburg", "Preston", "Kew")
_LANGUAGES: Final = ("", "en", "zh", "vi", "el", "it")
_TAGS: Final = ("", "", "", "colour", "vip", "colour;vip", "newsletter", "wedding")
_TYPED: Final = ("0{0} {1} {2}", "+61{0}{1}{2}", "+61 {0} {1} {2}", "0{0}{1}{2}", "(0{0}) {1}-{2}")
_DAY: Final = date(2024, 1, 1)
_WEEK_S: Final = 730


def rows(count: int, seed: int) -> Iterator[tuple[str, ...]]:
    """The rows of one business: every number is another, names are shared as people share them."""
    chance = random.Random(seed)
    firsts = list(accumulate(1 / (n + 2) for n in range(len(_FIRSTS))))
    lasts = [begin + end for begin in _BEGINNINGS for end in _ENDINGS]
    last_weights = list(accumulate(1 / (n + 10) for n in range(len(lasts))))
    chance.shuffle(lasts)
    days = [(_DAY + timedelta(days=n)).isoformat() for n in range(_WEEK_S)]
    for first in range(0, count, 10_000):
        some = min(10_000, count - first)
        first_names = chance.choices(_FIRSTS, cum_weights=firsts, k=some)
        last_names = chance.choices(lasts, cum_weights=last_weights, k=some)
        suburbs, tags = chance.choices(_SUBURBS, k=some), chance.choices(_TAGS, k=some)
        forms, visited = chance.choices(_TYPED, k=some), chance.choices(days, k=some)
        kinds = chance.choices(("express", "inferred", "none", ""), weights=(60, 25, 5, 10), k=some)
        for at, number in enumerate(range(first, first + some)):
            kind = kinds[at]
            digits = f"4{10_000_000 + number:08d}"
            mobile = forms[at].format(digits[:3], digits[3:6], digits[6:])
            yield (
                *(first_names[at], last_names[at], mobile[:-2] if number % WRONG_EVERY == WRONG_EVERY - 1 else mobile),
                *("yes" if kind in ("express", "inferred") else "no" if kind == "none" else "", kind),
                *(tags[at], _LANGUAGES[number % 6], f"C{number:07d}", f"c{number}@example.com"),
                *(suburbs[at], str(number % 40), visited[at]),
            )


def write_csv(path: Path, count: int, seed: int) -> None:
    """As a program would export them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        file.writelines(",".join(row) + "\n" for row in rows(count, seed))


_TYPES: Final = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
    'ContentType="application/xml"/></Types>'
)
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def _related(*of: tuple[str, str]) -> str:
    each = "".join(
        f'<Relationship Id="r{n}" Type="{_OFFICE}/{kind}" Target="{target}"/>' for n, (kind, target) in enumerate(of)
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{each}</Relationships>'


def write_workbook(path: Path, count: int, seed: int) -> None:
    """As Excel would save them: texts once in a table of their own, visits as numbers, days as dates."""
    texts: dict[str, int] = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:
        book.writestr("[Content_Types].xml", _TYPES)
        book.writestr("_rels/.rels", _related(("officeDocument", "xl/workbook.xml")))
        sheets = '<sheets><sheet name="Customers" sheetId="1" r:id="r0"/></sheets>'
        book.writestr("xl/workbook.xml", f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">{sheets}</workbook>')
        parts = ("worksheet", "worksheets/sheet1.xml"), ("styles", "styles.xml"), ("sharedStrings", "sharedStrings.xml")
        book.writestr("xl/_rels/workbook.xml.rels", _related(*parts))
        formats = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
        book.writestr("xl/styles.xml", f'<styleSheet xmlns="{_MAIN}">{formats}</styleSheet>')
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            sheet.write(_sheet_row(1, COLUMNS, texts).encode())
            for number, row in enumerate(rows(count, seed), 2):
                sheet.write(_sheet_row(number, row, texts).encode())
            sheet.write(b"</sheetData></worksheet>")
        with book.open("xl/sharedStrings.xml", "w", force_zip64=True) as shared:
            shared.write(f'<sst xmlns="{_MAIN}">'.encode())
            shared.writelines(f"<si><t>{_escaped(text)}</t></si>".encode() for text in texts)
            shared.write(b"</sst>")


def _sheet_row(number: int, row: tuple[str, ...], texts: dict[str, int]) -> str:
    cells = []
    for at, value in enumerate(row):
        place = f"{chr(65 + at)}{number}"
        if number > 1 and at == 10:
            cells.append(f'<c r="{place}"><v>{value}</v></c>')
        elif number > 1 and at == 11:
            cells.append(f'<c r="{place}" s="1"><v>{(date.fromisoformat(value) - date(1899, 12, 30)).days}</v></c>')
        elif value:
            cells.append(f'<c r="{place}" t="s"><v>{texts.setdefault(value, len(texts))}</v></c>')
    return f'<row r="{number}">{"".join(cells)}</row>'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
