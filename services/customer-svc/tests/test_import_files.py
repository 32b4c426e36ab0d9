"""Files as people have them: which kind, which encoding, which separator, and their rows, in blocks."""

import csv
import io
import random
import zipfile
from typing import Any

import openpyxl
import pytest

from muster.customer.domain.files import sheet, xlsx
from muster.customer.domain.files.kinds import Kind
from muster.customer.domain.files.reading import Block, Opened, Options, read, rows_of
from muster.customer.domain.files.refused import FileRefused
from muster.customer.domain.import_repairs import plain, read_full_name, repaired_date, repaired_number
from muster.customer.importer.guess import guess_encoding

HEADER = "Name,Mobile\n"


def opened(content: bytes, **options: Any) -> tuple[Opened, list[Block]]:
    first, *blocks = read(io.BytesIO(content), Options(**options), guess_encoding)
    assert isinstance(first, Opened)
    assert all(isinstance(block, Block) for block in blocks)
    return first, blocks  # type: ignore[return-value]


def rows(content: bytes, **options: Any) -> list[list[str] | csv.Error]:
    first, blocks = opened(content, **options)
    return [row for block in blocks for row in rows_of(block.text, first.separator)]


def refused(content: bytes, **options: Any) -> str:
    with pytest.raises(FileRefused) as caught:
        opened(content, **options)
    return caught.value.refusal.code


ENCODED = [
    ("utf-8", "Zoë", "utf-8"),
    ("utf-8-sig", "Zoë", "utf-8"),
    ("utf-16", "Zoë", "utf-16"),
    ("utf-16-le", "Zoë", "utf-16-le"),
    ("utf-16-be", "Zoë", "utf-16-be"),
    ("utf-32", "Zoë", "utf-32"),
    ("cp1252", "Zoë O’Brien", "cp1252"),
    ("cp1251", "Екатерина Александровна Иванова", "cp1251"),
    ("cp1253", "Αικατερίνη Παπαδοπούλου", "cp1253"),
]


@pytest.mark.parametrize(("encoding", "name", "found"), ENCODED)
def test_an_encoding_is_found_out(encoding: str, name: str, found: str) -> None:
    text = HEADER + f"{name},0412345678\n" * 40
    first, _ = opened(text.encode(encoding))
    assert first.encoding == found
    assert rows(text.encode(encoding))[39] == [name, "0412345678"]


def test_an_encoding_that_is_said_is_taken_and_one_that_there_is_none_of_is_refused() -> None:
    content = (HEADER + "Zoë,1\n").encode("mac-roman")
    assert rows(content, encoding="mac-roman")[0] == ["Zoë", "1"]
    assert refused(content, encoding="klingon") == "unknown_encoding"
    assert refused(content, encoding="rot13") == "unknown_encoding"
    assert refused(b"\xff\xfea", encoding="utf-16") == "not_text"


def test_a_slip_in_utf_8_stays_a_slip_of_its_row() -> None:
    content = HEADER.encode() + "Zoë,1\n".encode() * 9 + "Zoë,1\n".encode("cp1252") + "Åsa,2\n".encode()
    first, _ = opened(content)
    found = rows(content)
    assert first.encoding == "utf-8"
    assert (found[8], found[9], found[10]) == (["Zoë", "1"], ["Zo\udceb", "1"], ["Åsa", "2"])


def test_utf_8_of_which_a_quarter_of_the_rows_is_not_stays_utf_8() -> None:
    content = HEADER.encode() + "Zoë Müller,1\n".encode() * 3 + "Zoë Müller,2\n".encode("cp1252")
    assert opened(content)[0].encoding == "utf-8"
    assert [cells[0] for cells in rows(content)] == ["Zoë Müller"] * 3 + ["Zo\udceb M\udcfcller"]


def test_utf_8_in_a_file_that_is_not_is_a_slip_of_its_row_unless_the_encoding_is_said() -> None:
    content = (HEADER + "Zoë,1\nÉva,2\n«CAFÉ»,3\n").encode("cp1252") + "Zoë,4\n“Jo,5\n".encode()
    first, _ = opened(content)
    assert first.encoding == "cp1252"
    assert [cells[0] for cells in rows(content)] == ["Zoë", "Éva", "«CAFÉ»", "Zoë\udc80", "“\udc80Jo"]
    assert rows(content, encoding="cp1252")[3] == ["ZoÃ«", "4"]
    tiny = HEADER.encode() + "Zoë,1\n".encode("cp1252") + "Åsa,2\n".encode()
    assert [cells[0] for cells in rows(tiny)] == ["Zoë", "Å\udc80sa"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_separator_is_found_out_whatever_is_in_the_cells(separator: str) -> None:
    lines = [("Name", "Mobile", "Spent"), ('"a;b,c|d"', "0412", "1,5"), ("x", "0413", "2,5")]
    content = "".join(separator.join(line).replace("1,5", '"1,5"').replace("2,5", '"2,5"') + "\r\n" for line in lines)
    assert opened(content.encode())[0].separator == separator
    assert rows(content.encode())[0] == ["a;b,c|d", "0412", "1,5"]


def test_one_column_is_a_table_and_excels_word_on_the_separator_is_taken() -> None:
    assert rows(b"Mobile\n0412345678\n") == [["0412345678"]]
    assert rows(b"sep=;\r\nName;Mobile\r\nAna,B;0412\r\n") == [["Ana,B", "0412"]]


def test_the_header_is_the_first_line_that_holds_anything() -> None:
    assert rows(b"\n;;\r\n \nName;Mobile\nAna;0412\n") == [["Ana", "0412"]]
    assert refused(b"\n;;\n \n") == "empty"


def test_blocks_can_each_be_read_on_their_own_and_give_what_the_whole_file_gives() -> None:
    odd = ['A,"two\nlines",1', '"never closed,2', "", 'B,"say ""hi""",3', '"shut"too soon,4', "C,,5"]
    content = ("N,M,R\n" + "\n".join(odd * 40) + "\n").encode()

    def seen(block_rows: int) -> list[Any]:
        found = rows(content, block_rows=block_rows)
        return ["broken" if isinstance(one, csv.Error) else one for one in found]

    whole = seen(10_000)
    assert whole.count("broken") == 80
    for block_rows in (1, 2, 3, 7, 100):
        assert seen(block_rows) == whole
        blocks = opened(content, block_rows=block_rows)[1]
        assert sum(block.rows for block in blocks) == 200
        assert [b.first_row for b in blocks[:3]] == [1, 1 + block_rows, 1 + 2 * block_rows]


WRONG = [
    (b"", "empty"),
    (b"%PDF-1.7", "wrong_kind"),
    (b"\xd0\xcf\x11\xe0 old", "wrong_kind"),
    (b"\x1f\x8b gzip", "wrong_kind"),
    (b"\n <html><table><tr>", "wrong_kind"),
    (b"\x89PNG", "wrong_kind"),
    (b"Mobile" + b"," * 1_000_000, "too_many_columns"),
    (b"Mobile" + b",x" * 101, "too_many_columns"),
    (b"x" * (2 << 20), "line_too_long"),
    (b'"Mobile\n1', "not_csv"),
    (b"Mob\x00ile\n1", "not_text"),
    (b"PK\x03\x04 cut off", "damaged"),
]


@pytest.mark.parametrize(("content", "code"), WRONG, ids=lambda one: str(one)[:20])
def test_a_file_that_is_none_is_refused_by_name(content: bytes, code: str) -> None:
    assert refused(content) == code


def test_rows_above_the_limit_are_refused_and_so_are_quotes_that_nobody_can_make_sense_of() -> None:
    assert refused(b"Mobile\n1\n2\n\n3\n", rows_max=2) == "too_many_rows"
    assert len(rows(b"Mobile\n1\n2\n\n", rows_max=2)) == 3
    assert refused(b"Mobile\n" + b'"a"b\n' * 10_001) == "not_csv"


def workbook(*lines: Any, **cells: Any) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for line in lines:
        sheet.append(line)
    for place, value in cells.items():
        sheet[place] = value
    stored = io.BytesIO()
    book.save(stored)
    return stored.getvalue()


def rezipped(content: bytes, changes: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in {*old.namelist(), *changes}:
            new.writestr(name, changes[name] if name in changes else old.read(name))
    return out.getvalue()


def test_a_workbook_gives_the_texts_that_people_see() -> None:
    from datetime import date, datetime, time

    lines = [
        ("Name", "Mobile", "Day", "At", "Clock", "Sum", "Yes"),
        ("Zoë & <b>", 412345678, date(2026, 5, 1), datetime(2026, 5, 1, 9, 30), time(9, 30), 0.1 + 0.2, True),  # noqa: DTZ001
        (),
        ("Ana", "0412345678", None, None, None, 61412345678, False),
    ]
    first, _ = opened(workbook(*lines))
    assert (first.kind, first.sheet, first.header[:2]) == (Kind.XLSX, "Sheet", ("Name", "Mobile"))
    assert rows(workbook(*lines)) == [
        ["Zoë & <b>", "412345678", "2026-05-01", "2026-05-01 09:30:00", "09:30:00", "0.3", "TRUE"],
        [],
        ["Ana", "0412345678", "", "", "", "61412345678", "FALSE"],
    ]


def test_zeros_that_a_format_shows_are_there_and_a_formula_is_its_value_or_itself() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(("Name", "Mobile"))
    sheet.append(("Ana", 412345678))
    sheet["B2"].number_format = "0000000000"
    sheet.append(("Bob", "=1+1"))
    stored = io.BytesIO()
    book.save(stored)
    assert rows(stored.getvalue()) == [["Ana", "0412345678"], ["Bob", "=1+1"]]
    valued = rezipped(stored.getvalue(), {"xl/worksheets/sheet1.xml": SHEET % b"<f>1+1</f><v>2</v>"})
    assert rows(valued) == [["2"]]


SHEET = (
    b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    b'<row r="1"><c r="A1" t="inlineStr"><is><t>Mobile</t></is></c></row><row r="2"><c r="A2">%s</c></row>'
    b"</sheetData></worksheet>"
)
LAUGHS = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><worksheet>&b;</worksheet>'


ROWS = (
    '<row r="{0}" spans="1:3" x14ac:dyDescent="0.25"><c r="A{0}" s="1"><v>{0}</v></c><c r="C{0}"/></row>',
    '<row r="{0}">\n<c r="A{0}"><v>7</v></c>\n</row>',
    '<row r="{0}"><c r="B{0}" t="str"><v> a b "c" </v></c><c r="C{0}" t="b"><v>1</v></c></row>',
    '<row r="{0}"><c r="B{0}" t="str"><v>a &amp; b</v></c></row><!-- <row r="9"><c r="A9"><v>9</v></c></row> -->',
    '<row r="{0}"></row><!-- <row></row><row r="{0}1"><c r="A9"><v>9</v></c></row> -->',
    '<row r="{0}"><c r="A{0}" t="inlineStr"><is><t><![CDATA[<row r="1"></row>]]></t></is></c></row>',
    '<row r="{0}"><c r="A{0}"><f>1+1</f><v>2</v></c></row>\n',
    "<row r='{0}'><c><v>{0}</v></c></row>",
    '<row r="{0}"></row><row><c r="A1"><v>5</v></c></row>',
    '<row r="{0}"><c r="B{0}" t="str"><v>Zo\u00eb</v></c></row>',
    '<row r="{0}"><c r="A{0}" t="s"><v>0</v></c><c r="XFD{0}" t="e"><v>#REF!</v></c></row>',
)
WRONG = (
    '<row r="1"><c r="A1"><v>1</v></c></row>',
    '<row r="{0}"><c r="B{0}"><v>1</v></c><c r="A{0}"><v>1</v></c></row>',
    '<row r="{0}"><c r="A{0}" t="s"><v>999</v></c></row>',
    '<row r="{0}"><c r="XFE{0}"><v>1</v></c></row>',
    '<row r="{0}"><c r="A{0}"><v>1</v></c>',
    '<row r="2000000"><c r="A1"><v>1</v></c></row>',
)


def read_by(monkeypatch: Any, book: bytes, piece_bytes: int, *, parser_alone: bool) -> Any:
    """Rows of a workbook that is unpacked in pieces of this size, or why it is refused."""
    with monkeypatch.context() as patched:
        patched.setattr(xlsx, "_READ_BYTES", piece_bytes)
        if parser_alone:
            patched.setattr(sheet, "without_plain_rows", lambda pieces, *_: pieces)
        try:
            return rows(book)
        except FileRefused as refused:
            return refused.refusal


def test_plain_rows_that_a_parser_never_sees_are_what_it_would_have_made_of_them(monkeypatch: Any) -> None:
    chance, plain_book = random.Random(5), workbook(("Mobile",), (1,))
    for trial in range(40):
        chosen = [*chance.choices(ROWS, k=12), *chance.choices(WRONG, k=trial % 4 == 3)]
        chance.shuffle(chosen)
        body = "".join(
            row.format(3 * n) for n, row in enumerate(["<row r='{0}'><c r='C1'><v>1</v></c></row>", *chosen], 1)
        )
        written = f'<worksheet xmlns:x14ac="x"><sheetData>{body}</sheetData></worksheet>'
        content = b"" if trial % 10 else b'<?xml version="1.0" encoding="iso-8859-1"?>'
        content += written.encode("iso-8859-1" if content else "utf-8")
        content = written.encode("utf-16") if trial % 10 == 5 else content
        book = rezipped(plain_book, {"xl/worksheets/sheet1.xml": content})
        meant = read_by(monkeypatch, book, 1 << 16, parser_alone=True)
        for piece_bytes in (1, 17, 300, 1 << 16):
            assert read_by(monkeypatch, book, piece_bytes, parser_alone=False) == meant


def test_what_is_hostile_in_a_workbook_is_refused_by_name() -> None:
    plain_book = workbook(("Mobile",), (1,))
    sheet = "xl/worksheets/sheet1.xml"
    assert (
        refused(rezipped(plain_book, {sheet: SHEET % (b"<v>" + b"9" * (20 << 20) + b"</v>")})) == "too_large_unpacked"
    )
    assert refused(rezipped(plain_book, {sheet: LAUGHS})) == "damaged"
    assert refused(rezipped(plain_book, {sheet: SHEET % b"<v>1</v></c><c r='A1'>"})) == "damaged"
    assert refused(rezipped(plain_book, {sheet: b"<worksheet><sheetData>"})) == "damaged"
    assert refused(rezipped(plain_book, {f"x{n}": b"" for n in range(2_100)})) == "too_large_unpacked"
    assert refused(plain_book[: len(plain_book) // 2]) == "damaged"
    no_book = io.BytesIO()
    with zipfile.ZipFile(no_book, "w") as made:
        made.writestr("letter.txt", "hello")
    assert refused(no_book.getvalue()) == "wrong_kind"


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("'+61412345678", "+61412345678"),
        ("'n' Roll", "'n' Roll"),
        ('="0412"', "0412"),
        ('="a""b"', 'a"b'),
        ("=A1", "=A1"),
    ],
)
def test_what_keeps_a_spreadsheet_from_changing_a_cell_is_taken_off(cell: str, meant: str) -> None:
    assert plain(cell) == meant


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("412345678", "leading_zero_restored"),
        ("0412345678", ""),
        ("61412345678", ""),
        ("6.1412345678E+10", "exponent_expanded"),
        ("412345678.0", "decimals_removed"),
        ("0412.345.678", ""),
    ],
)
def test_what_was_undone_in_a_number_is_told(written: str, told: str) -> None:
    assert repaired_number(written, 61412345678, trunk_zero=True) == told


@pytest.mark.parametrize(
    ("written", "first", "last", "turned"),
    [
        ("Ana Smith", "Ana", "Smith", False),
        ("Smith, Ana", "Ana", "Smith", True),
        ("van der Berg,Ana Maria", "Ana Maria", "van der Berg", True),
        ("Ana Smith, PhD", "Ana", "Smith, PhD", False),
        ("Ana Smith, Ph.D.", "Ana", "Smith, Ph.D.", False),
        ("Acme, Inc.", "Acme", "Inc.", False),
        ("Smith, Ana, PhD", "Smith", "Ana, PhD", False),
        ("Prince,", "Prince", "", False),
        ("Prince", "Prince", "", False),
        ("", "", "", False),
    ],
)
def test_a_full_name_with_the_last_name_first_is_turned(written: str, first: str, last: str, turned: bool) -> None:
    assert read_full_name(written) == (first, last, turned)


def test_a_day_as_a_number_is_a_day_and_a_postcode_is_none() -> None:
    assert (repaired_date("46023"), repaired_date("3004"), repaired_date("99999")) == ("2026-01-01", "", "")
