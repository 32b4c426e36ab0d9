"""Files as the bodies of requests that may be repeated; they are never held in memory as a whole."""

import io
from collections.abc import AsyncIterator, Callable, Iterator
from typing import BinaryIO, Final

PIECE_BYTES: Final = 64 << 10

Sent = Callable[[int, int], object]
"""Hears how many bytes of how many have gone."""


class Pieces:
    """A file, as bytes or as one that can be read again from its start. sent: hears how much of it has gone."""

    def __init__(self, content: bytes | BinaryIO, sent: Sent | None) -> None:
        self._file = io.BytesIO(content) if isinstance(content, bytes) else content
        self.size_bytes = self._file.seek(0, io.SEEK_END)
        self._sent = sent

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        gone = 0
        while piece := self._file.read(PIECE_BYTES):
            yield piece
            gone += len(piece)
            if self._sent is not None:
                self._sent(gone, self.size_bytes)


class AsyncPieces:
    """The same, for a client that waits for nothing else meanwhile."""

    def __init__(self, content: bytes | BinaryIO, sent: Sent | None) -> None:
        self._pieces = Pieces(content, sent)
        self.size_bytes = self._pieces.size_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
