"""In which encoding a text is written."""

import codecs
import re
from collections.abc import Callable
from typing import IO, Final

from muster.customer.domain.files.refused import FileRefused

_LOOKED_AT_BYTES: Final = 64
_READ_BYTES: Final = 1 << 20
_SAMPLE_BYTES: Final = 64 << 10
# So many sequences of UTF-8 for each byte that is none make it UTF-8 with slips. Other encodings happen upon few:
# texts in Thai and Korean on one for three such bytes, Chinese and Japanese on one for five, Western ones on none.
_MIXED_SHARE: Final = 2
_FOREIGN_SHARE: Final = 0.4  # no language of Western Europe has as many letters with marks
SLIPS: Final = re.compile("[\udc80-\udcff]")
"""Bytes that are no character, as `surrogateescape` shows them."""
# Letters with marks and the quotation marks of a word processor, of which UTF-8 was read as this code page.
_UTF_8_LETTERS: Final = re.compile(rb"[\xc3-\xc5][\x80-\xbf]")
_FOLLOWS: Final = "[" + re.escape(bytes(range(0x80, 0xC0)).decode("cp1252", "ignore")) + "\ufffd]"
_AS_WINDOWS: Final = re.compile(f"[ÃÄÅ]{_FOLLOWS}|â€{_FOLLOWS}")
_ABOVE_ASCII: Final = re.compile("[^\x00-\x7f]")
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_WORDS: Final = re.compile(rb"[A-Za-z\x80-\xff]+")
_NO_TEXTS: Final = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined")
_UTF_32: Final = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")

Guess = Callable[[bytes], str | None]


def encoding_of(file: IO[bytes], guess: Guess) -> str:
    """UTF-8 or UTF-16, each with or without its mark, else the code page of Western Windows, or what `guess` makes of a
    sample that is of no Western language. A few bytes that are not UTF-8 in a file that else is do not change it.
    """
    file.seek(0)
    head = file.read(_LOOKED_AT_BYTES)
    if head[:4] in _UTF_32:
        return _checked(file, "utf-32")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _checked(file, "utf-16")
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if zeros.count(0) > len(head) // 4:  # every other byte of what people write in Latin letters
            return _checked(file, encoding)
    return "utf-8-sig" if _is_utf_8(file) else _code_page(_sample(file), guess)


class WindowsText:
    """The lines of a text that was found to be in the code page of Western Windows. What in it is UTF-8 is read so, and
    marked as a slip: its row is refused by name, and not kept garbled."""

    def __init__(self, text: IO[str]) -> None:
        self._readline = text.readline

    def readline(self, size: int = -1, /) -> str:
        """The next line, or as much of it; "" at the end."""
        line = self._readline(size)
        return line if line.isascii() else _AS_WINDOWS.sub(_named, line)


def _named(found: re.Match[str]) -> str:
    try:
        return f"{found[0].encode('cp1252').decode()}\udc80"
    except UnicodeError:
        return f"{found[0]}\udc80"


def given_encoding(name: str, file: IO[bytes]) -> str:
    """The encoding that somebody says it has; FileRefused where there is none of this name, or it is another."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        codec = None
    if (
        codec is None
        or not codec._is_text_encoding
        or codec.name in ("idna", "punycode", "unicode_escape", "undefined")
    ):
        raise FileRefused.of("unknown_encoding", "There is no encoding of this name.")
    return "utf-8-sig" if codec.name == "utf-8" else _checked(file, codec.name)


def _checked(file: IO[bytes], encoding: str) -> str:
    """The same, once all of the file is found to be in it."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while piece := file.read(_READ_BYTES):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise FileRefused.of("not_text", f"The file is not in {encoding.upper()} throughout.") from error
    return encoding


def _is_utf_8(file: IO[bytes]) -> bool:
    """Whether it is UTF-8, but for a few slips."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    slips = sequences = 0
    piece = b"."
    while piece:
        piece = file.read(_READ_BYTES)
        text = decoder.decode(piece, final=not piece)
        if not text.isascii():
            wrong = len(SLIPS.findall(text))
            slips += wrong
            sequences += len(_ABOVE_ASCII.findall(text)) - wrong
    return slips == 0 or sequences >= slips * _MIXED_SHARE


def _sample(file: IO[bytes]) -> bytes:
    """Lines with bytes above ASCII, from the whole of the file."""
    file.seek(0)
    lines: list[bytes] = []
    left = _SAMPLE_BYTES
    while left > 0 and (piece := file.read(_READ_BYTES)):
        found = [line for line in piece.splitlines() if not line.isascii()]
        lines += found
        left -= sum(map(len, found))
    return b"\n".join(lines)[:_SAMPLE_BYTES]


def _code_page(sample: bytes, guess: Guess) -> str:
    """The code page of Western Windows unless too much of the words is above ASCII for it."""
    # What is UTF-8 in it has twice as many bytes as letters, and says nothing of the rest.
    words = [word for word in _WORDS.findall(_UTF_8_LETTERS.sub(b"e", sample)) if not word.isascii()]
    high = sum(len(_HIGH.findall(word)) for word in words)
    if not words or high < _FOREIGN_SHARE * sum(map(len, words)):
        return "cp1252"
    found = guess(sample)
    return found if found and not codecs.lookup(found).name.startswith(("utf", "ascii")) else "cp1252"
