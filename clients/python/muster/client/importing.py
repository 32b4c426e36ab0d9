"""Files of customers: handed in piece by piece, and watched until they are imported."""

import io
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final, Protocol, cast

from muster.client import shapes
from muster.client.errors import ApiError
from muster.client.operating import segment

PIECE_BYTES: Final = 64 << 10
LOOK_AGAIN_S: Final = 0.25

Sent = Callable[[int, int], object]
"""Hears how many bytes of how many have gone."""


class Calls(Protocol):
    """Who makes the calls: the client."""

    def get(self, path: str) -> Any:
        """The JSON of a GET."""

    def upload(self, path: str, pieces: "Pieces", headers: Mapping[str, str], **query: Any) -> Any:
        """The JSON of a POST of a file."""

    def begin_import(self, content: bytes | BinaryIO, **options: Any) -> shapes.Import:
        """Hand in a file."""

    def watch_import(self, import_id: str) -> Iterator[shapes.Import]:
        """An import as it stands, again and again."""


class Pieces:
    """A file as the body of a request that may be repeated; it is never held in memory as a whole."""

    def __init__(self, file: BinaryIO, sent: Sent | None) -> None:
        self.size_bytes = file.seek(0, io.SEEK_END)
        self._file = file
        self._sent = sent

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        gone = 0
        while piece := self._file.read(PIECE_BYTES):
            yield piece
            gone += len(piece)
            if self._sent is not None:
                self._sent(gone, self.size_bytes)


class Importing:
    """Imports of customers."""

    def import_customers(self: Calls, content: bytes | BinaryIO, **options: Any) -> shapes.Import:
        """Import customers from a CSV, TSV or XLSX file, and wait for its end; rows that are wrong are listed by
        `/v1/customers/imports/{id}/errors`. options: as the API has them (mode, match, list, consent, mapping …).

        ApiError for a file that is refused as a whole.
        """
        begun = self.begin_import(content, **options)
        for standing in self.watch_import(begun["id"]):
            begun = standing
        return begun

    def begin_import(
        self: Calls, content: bytes | BinaryIO, *, sent: Sent | None = None, **options: Any
    ) -> shapes.Import:
        """Hand in a file of customers, as bytes or as a file that can be read again from its start; it is imported in
        the background."""
        answer = hand_in(self, "/v1/customers/imports", content, sent, options)
        return cast(shapes.Import, answer)

    def watch_import(self: Calls, import_id: str) -> Iterator[shapes.Import]:
        """An import as it stands, again and again, until it has ended or waits to be started."""
        return watched(self, f"/v1/customers/imports/{segment(import_id)}")


class FileCalls(Protocol):
    """Who hands in files and looks at what becomes of them: the client."""

    def get(self, path: str) -> Any:
        """The JSON of a GET."""

    def upload(self, path: str, pieces: Pieces, headers: Mapping[str, str], **query: Any) -> Any:
        """The JSON of a POST of a file."""


def hand_in(
    muster: FileCalls, path: str, content: bytes | BinaryIO, sent: Sent | None, options: Mapping[str, Any]
) -> Any:
    """The JSON of a POST of a file, which does not wait for what is made of it."""
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    headers = {"Content-Type": "application/octet-stream", "Prefer": "respond-async"}
    headers["Idempotency-Key"] = str(uuid.uuid4())
    return muster.upload(path, Pieces(file, sent), headers, **options)


def watched(muster: FileCalls, path: str) -> Iterator[Any]:
    """How what is made of a file stands, again and again, until it has ended or waits to be started; ApiError where the
    file is refused as a whole."""
    while True:
        standing = muster.get(path)
        yield standing
        if standing["state"] in ("done", "cancelled", "preview"):
            return
        problem = standing["problem"]
        if problem is not None:
            title = "The import failed on the way" if standing["state"] == "failed" else "The file was refused"
            raise ApiError(422, {"title": title, "detail": problem["message"], **problem})
        time.sleep(LOOK_AGAIN_S)
