"""A workbook: its first visible sheet, row by row, in little memory however large it is.

The parts of it that are read, and how much of each, is bounded before anything is unpacked: what says that it is small
and is not, or unpacks to a thousand times its size, is refused by name. Formulas are never worked out.
"""

import posixpath
import struct
import zipfile
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final
from xml.parsers import expat

from muster.customer.domain.files.cells import Formats, Style
from muster.customer.domain.files.kinds import wrong_kind
from muster.customer.domain.files.refused import FileRefused

ENTRIES_MAX: Final = 2_000
UNPACKED_BYTES_MAX: Final = 2 << 30
SMALL_PART_BYTES_MAX: Final = 16 << 20
TEXTS_BYTES_MAX: Final = 128 << 20
RATIO_MAX: Final = 200
CELL_CHARACTERS_MAX: Final = 131_072
_RATIO_FROM_BYTES: Final = 16 << 20
_READ_BYTES: Final = 1 << 16
_TOKEN_BYTES_MAX: Final = 4 << 20
_END: Final = b"PK\x05\x06"
_END_BYTES: Final = 22 + 65_535

Start = Callable[[str, dict[str, str]], None]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where a sheet is in the archive, its name, and what is needed to read its cells."""

    name: str
    path: str
    formats: Formats
    texts: "Texts"


class Texts:
    """The workbook's shared texts, in one piece of memory: a million as objects would take ten times as much."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q")

    def add(self, text: str) -> None:
        """The next one."""
        self._bytes += text.encode("utf-8", "replace")
        self._ends.append(len(self._bytes))
        if len(self._bytes) + 8 * len(self._ends) > TEXTS_BYTES_MAX:
            raise too_large(f"its texts alone take more than {TEXTS_BYTES_MAX >> 20} MiB")

    def __getitem__(self, index: int) -> str:
        """IndexError where there is none."""
        if index < 0:
            raise IndexError(index)
        end = self._ends[index]
        return self._bytes[self._ends[index - 1] if index else 0 : end].decode()


def too_large(what: str) -> FileRefused:
    """A workbook that would unpack to more than is read."""
    return FileRefused.of("too_large_unpacked", f"The workbook is too large once it is unpacked: {what}.")


def damaged(error: Exception | None = None) -> FileRefused:
    """A workbook that is cut off or none at all."""
    what = f" ({type(error).__name__})" if error else ""
    return FileRefused.of("damaged", f"The workbook is damaged or cut off{what}. Save it again and send it whole.")


def archive(file: IO[bytes]) -> zipfile.ZipFile:
    """The archive that a workbook is; FileRefused for one that is damaged, or has more in it than any workbook."""
    file.seek(0, 2)
    size = file.tell()
    file.seek(max(0, size - _END_BYTES))
    tail = file.read(_END_BYTES)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise damaged()
    entries, directory_bytes = struct.unpack_from("<HI", tail, at + 10)
    if entries > ENTRIES_MAX or directory_bytes > ENTRIES_MAX * 1_000:
        raise too_large(f"it has more than {ENTRIES_MAX} parts")
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise damaged(error) from error


def first_sheet(book: zipfile.ZipFile) -> Sheet:
    """The first sheet that is not hidden, with the workbook's texts and formats."""
    if "xl/workbook.bin" in book.NameToInfo:
        raise FileRefused(wrong_kind("a binary workbook (.xlsb); save it as .xlsx"))
    targets = _relationships(book, "_rels/.rels", "")
    workbook = next((target for kind, target in targets.values() if kind == "officeDocument"), "xl/workbook.xml")
    if workbook not in book.NameToInfo:
        raise FileRefused(wrong_kind("an archive, and no workbook is in it"))
    sheets: list[tuple[str, str]] = []
    dates_from_1904 = False

    def start(name: str, given: dict[str, str]) -> None:
        nonlocal dates_from_1904
        if name == "sheet" and given.get("state", "visible") == "visible":
            sheets.append((given.get("name", ""), next((v for k, v in given.items() if k.endswith(":id")), "")))
        elif name == "workbookPr":
            dates_from_1904 = given.get("date1904", "0") in ("1", "true", "on")

    _parse_small(book, workbook, start)
    related = _relationships(book, _rels_of(workbook), posixpath.dirname(workbook))
    of_kind = dict(related.values())
    for name, relation in sheets:
        kind, target = related.get(relation, ("", ""))
        if kind == "worksheet" and target in book.NameToInfo:
            formats = _formats(book, of_kind.get("styles"), dates_from_1904)
            return Sheet(name, target, formats, _texts(book, of_kind.get("sharedStrings")))
    raise FileRefused.of("no_sheet", "The workbook has no visible sheet with a table.")


def parts(book: zipfile.ZipFile, path: str, size_max: int) -> Iterator[bytes]:
    """The bytes of a part, unpacked; FileRefused for more than `size_max`, and for what is pressed too hard."""
    info = book.NameToInfo[path]
    if info.file_size > size_max:
        raise too_large(f"a part of it has more than {size_max >> 20} MiB")
    if info.file_size > max(_RATIO_FROM_BYTES, info.compress_size * RATIO_MAX):
        raise too_large(f"a part of it unpacks to more than {RATIO_MAX} times its size")
    try:
        with book.open(info) as part:
            while piece := part.read(_READ_BYTES):
                yield piece
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise damaged(error) from error
    except Exception as error:
        if type(error).__module__ != "zlib":
            raise
        raise damaged(error) from error


def parser(start: Any, end: Any = None, text: Any = None) -> Any:
    """A parser of XML that knows no entities and no document types."""
    made = expat.ParserCreate()
    made.buffer_text = True
    made.StartElementHandler, made.EndElementHandler, made.CharacterDataHandler = start, end, text

    def refuse(*_: Any) -> None:
        raise damaged()

    made.StartDoctypeDeclHandler = refuse
    return made


def feed(reader: Any, pieces: Iterator[bytes]) -> Iterator[None]:
    """Let the parser read; control comes back after each piece."""
    fed = 0
    try:
        for piece in pieces:
            reader.Parse(piece)
            fed += len(piece)
            if fed - reader.CurrentByteIndex > _TOKEN_BYTES_MAX:
                raise damaged()
            yield
        reader.Parse(b"", True)  # noqa: FBT003
    except expat.ExpatError as error:
        raise damaged(error) from error
    yield


def local(name: str) -> str:
    """The name of an element without the prefix that some programs write."""
    return name.rpartition(":")[2]


def _parse_small(book: zipfile.ZipFile, path: str, start: Start) -> None:
    reader = parser(lambda name, given: start(local(name), given))
    for _ in feed(reader, parts(book, path, SMALL_PART_BYTES_MAX)):
        pass


def _rels_of(path: str) -> str:
    folder, name = posixpath.split(path)
    return f"{folder}/_rels/{name}.rels".lstrip("/")


def _relationships(book: zipfile.ZipFile, path: str, folder: str) -> dict[str, tuple[str, str]]:
    """Kind and path of each related part, by its id."""
    found: dict[str, tuple[str, str]] = {}

    def start(name: str, given: dict[str, str]) -> None:
        if name == "Relationship" and given.get("TargetMode", "Internal") == "Internal":
            target = given.get("Target", "")
            whole = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            found[given.get("Id", "")] = given.get("Type", "").rpartition("/")[2], whole

    if path in book.NameToInfo:
        _parse_small(book, path, start)
    return found


def _formats(book: zipfile.ZipFile, path: str | None, dates_from_1904: bool) -> Formats:  # noqa: FBT001
    codes: dict[int, str] = {}
    styles: list[Style] = []
    inside = False

    def start(name: str, given: dict[str, str]) -> None:
        nonlocal inside
        if name == "numFmt" and given.get("numFmtId", "").isdecimal():
            codes[int(given["numFmtId"])] = given.get("formatCode", "")
        elif name in ("cellXfs", "cellStyles", "dxfs"):
            inside = name == "cellXfs"
        elif name == "xf" and inside:
            number = given.get("numFmtId", "0")
            styles.append(Style.of(int(number) if number.isdecimal() else 0, codes))

    if path in book.NameToInfo:
        _parse_small(book, str(path), start)
    return Formats(tuple(styles), dates_from_1904)


def _texts(book: zipfile.ZipFile, path: str | None) -> Texts:
    """The shared texts; what is said of how they are pronounced is no part of them."""
    texts = Texts()
    if path not in book.NameToInfo:
        return texts
    heard: list[str] = []
    listening = spoken = False
    size = 0

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal listening, spoken, size
        name = local(name)
        if name == "si":
            heard.clear()
            size = 0
        elif name == "rPh":
            spoken = True
        listening = name == "t" and not spoken

    def end(name: str) -> None:
        nonlocal listening, spoken
        name = local(name)
        listening = False
        if name == "si":
            texts.add("".join(heard))
        elif name == "rPh":
            spoken = False

    def text(piece: str) -> None:
        nonlocal size
        if listening:
            heard.append(piece)
            size += len(piece)
            if size > CELL_CHARACTERS_MAX:
                raise damaged()

    for _ in feed(parser(start, end, text), parts(book, str(path), UNPACKED_BYTES_MAX)):
        pass
    return texts
