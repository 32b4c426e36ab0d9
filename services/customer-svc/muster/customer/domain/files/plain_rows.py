"""Rows of a sheet that are written as nearly all are, read several times as fast as a parser of XML does.

Where the parser has taken all that it was given and stands between two rows, what comes next is no comment and no text:
`<row` is the tag of a row. If that row is of numbers and printable ASCII without entities it is taken as it stands, and
the parser never hears of it. All else is the parser's, and with it whether the document is one.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

_VALUE: Final = "[ -%'-;=?-~]{0,1000}"  # printable, without < > &
_CELL: Final = (
    r'<c r="(?P<column>[A-Z]{1,3})\d{1,7}"(?: s="(?P<style>\d{1,5})")?(?: t="(?P<kind>[a-zA-Z]{1,9})")?'
    rf"(?:/>|><v>(?P<value>{_VALUE})</v></c>)"
)
_BARE: Final = re.sub(r"\?P<\w+>", "?:", _CELL)
_SAID: Final = r'(?: [a-zA-Z:]{1,40}="[ !#-%\'-;=?-~]{0,200}")*'
_ROW: Final = re.compile(rf'\s*<row r="(\d{{1,7}})"{_SAID}>((?:{_BARE})*)</row>'.encode())
_CELLS: Final = re.compile(_CELL)
_END: Final = b"</row>"
_WAITS_BYTES_MAX: Final = 1 << 20

Cell = tuple[str, str, str, str]
"""Letters of its column, its style, its kind and what is written in it; "" for what is not said."""


def without_plain_rows(
    pieces: Iterator[bytes], is_between: Callable[[int], bool], take: Callable[[int, Sequence[Cell]], None]
) -> Iterator[bytes]:
    """What is left for the parser, which is given each piece before the next is asked for. is_between: whether it has
    taken this many bytes and stands between two rows. take: number and cells of a plain row, in the order of the
    sheet."""
    fed, waiting = 0, b""
    for piece in pieces:
        waiting += piece
        while waiting:
            between, at = is_between(fed), 0
            while between and (found := _ROW.match(waiting, at)):
                take(int(found[1]), _CELLS.findall(found[2].decode("ascii")))
                at = found.end()
            end = waiting.find(_END, at) + len(_END)
            if end < len(_END):
                # A row that has not come whole may yet be a plain one.
                end = at if between and len(waiting) - at < _WAITS_BYTES_MAX else len(waiting)
            given, waiting = waiting[at:end], waiting[end:]
            fed += len(given)
            yield given
            if not given:
                break
    if waiting:
        yield waiting
