"""A process that reads files and rows for the importer: what takes a minute of one core, and may be hostile, is kept
away from the process that plans sends and hears events.

Frames on standard input and output: four bytes of length, one that says which, then JSON or bytes. It ends with its
input. It has no database, no network and no settings; the key of number hashes comes with each plan.
"""

import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

import orjson

from muster.customer.domain.files.reading import Block, Opened, Options, read
from muster.customer.domain.files.refused import FileRefused
from muster.customer.importer.blocks import Plan, parse
from muster.customer.importer.frames import framed, read_frame
from muster.customer.importer.guess import guess_encoding

_NICE: Final = 5
_NO_MEMORY: Final = "The file needs more memory than there is for one; split it, or save it as CSV."


def read_frames(path: str, options: Options) -> Iterator[bytes]:
    """A file as frames: O (what it is), B and T (a block: its figures, its text), then E, or R for one refused."""
    try:
        with open(path, "rb") as file:
            for piece in read(file, options, guess_encoding):
                if isinstance(piece, Opened):
                    yield framed(b"O", orjson.dumps(asdict(piece)))
                elif isinstance(piece, Block):
                    yield framed(b"B", orjson.dumps([piece.first_row, piece.rows, file.tell()]))
                    yield framed(b"T", piece.text)
    except FileRefused as refused:
        yield framed(b"R", orjson.dumps(asdict(refused.refusal)))
    except MemoryError:
        yield framed(b"R", orjson.dumps({"field": "file", "code": "too_large_unpacked", "message": _NO_MEMORY}))
    else:
        yield framed(b"E", b"")


def parse_frames(request: Any, text: bytes) -> Iterator[bytes]:
    """A block as frames: P (what is wrong, and figures), C and N (the COPYs)."""
    parsed = parse(Plan.unpacked(request["plan"]), request["first_row"], text)
    told = {
        "good": parsed.good,
        "wrong": [asdict(one) for one in parsed.wrong],
        "refused": parsed.refused,
        "repairs": [asdict(one) for one in parsed.repairs],
    }
    yield framed(b"P", orjson.dumps(told))
    yield framed(b"C", parsed.rows)
    yield framed(b"N", parsed.numbers)


def main(memory_bytes_max: int) -> None:
    """Answer requests until there are none."""
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes_max, memory_bytes_max))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while asked := read_frame(source):
        request = orjson.loads(asked[1:])
        if asked[:1] == b"F":
            answers = read_frames(request["path"], Options(**request["options"]))
        else:
            answers = parse_frames(request, read_frame(source)[1:])
        for answer in answers:
            sink.write(answer)
            sink.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
