"""Which kind of file it is, by its first bytes: a name or a media type is only what somebody says of it."""

from enum import StrEnum
from typing import Final

from muster.customer.domain.refusal import Refusal

HEAD_BYTES: Final = 4_096


class Kind(StrEnum):
    """What is read."""

    TEXT = "text"
    XLSX = "xlsx"


_OTHERS: Final = (
    (b"\xd0\xcf\x11\xe0", "an old Excel or other Office file, or one with a password; save it as .xlsx or CSV"),
    (b"%PDF", "a PDF; export the table as CSV or .xlsx"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive; unpack it first"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"SQLite format 3", "a database"),
    (b"PAR1", "a Parquet file"),
    (b"{\\rtf", "a text document"),
    (b"\x7fELF", "a program"),
)
_MARKUP: Final = (b"<!doctype html", b"<html", b"<table", b"<?xml", b"<workbook")


def kind_of(head: bytes) -> Kind | Refusal:
    """What a file is that begins with these bytes (`HEAD_BYTES`, or all of it), or why it is not read."""
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return Kind.XLSX
    for magic, what in _OTHERS:
        if head.startswith(magic):
            return wrong_kind(what)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
        return wrong_kind("a web page or XML, as some programs export under .xls; save it as .xlsx or CSV")
    return Kind.TEXT


def wrong_kind(what: str) -> Refusal:
    """A file that is none of customers."""
    return Refusal("file", "wrong_kind", f"A CSV, TSV or XLSX file is read here; this is {what}.")
