"""Files of customers: handed in piece by piece, and watched until they are imported."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, BinaryIO, Final, cast

from muster.client import shapes
from muster.client.aio.calls import Calls
from muster.client.errors import ApiError
from muster.client.files import AsyncPieces, Sent
from muster.client.paths import segment

LOOK_AGAIN_S: Final = 0.25
_HEADERS: Final = {"Content-Type": "application/octet-stream", "Prefer": "respond-async"}


class Files(Calls):
    """What is handed in as a file and goes on in the background."""

    async def _hand_in(
        self, path: str, content: bytes | BinaryIO, sent: Sent | None, options: Mapping[str, Any]
    ) -> Any:
        return await self.upload(path, AsyncPieces(content, sent), _HEADERS, **options)

    async def _watched(self, path: str) -> AsyncIterator[Any]:
        """How what is made of a file stands, again and again, until it has ended or waits to be started; ApiError where
        the file is refused as a whole."""
        while True:
            standing = await self.get(path)
            yield standing
            if standing["state"] in ("done", "cancelled", "preview"):
                return
            problem = standing["problem"]
            if problem is not None:
                title = "The import failed on the way" if standing["state"] == "failed" else "The file was refused"
                raise ApiError(422, {"title": title, "detail": problem["message"], **problem})
            await asyncio.sleep(LOOK_AGAIN_S)


class Importing(Files):
    """Imports of customers."""

    async def import_customers(self, content: bytes | BinaryIO, **options: Any) -> shapes.Import:
        """Import customers from a CSV, TSV or XLSX file, and wait for its end; rows that are wrong are listed by
        `/v1/customers/imports/{id}/errors`. options: as the API has them (mode, match, list, consent, mapping …).

        ApiError for a file that is refused as a whole.
        """
        begun = await self.begin_import(content, **options)
        async for standing in self.watch_import(begun["id"]):
            begun = standing
        return begun

    async def begin_import(
        self, content: bytes | BinaryIO, *, sent: Sent | None = None, **options: Any
    ) -> shapes.Import:
        """Hand in a file of customers, as bytes or as a file that can be read again from its start; it is imported in
        the background."""
        return cast(shapes.Import, await self._hand_in("/v1/customers/imports", content, sent, options))

    def watch_import(self, import_id: str) -> AsyncIterator[shapes.Import]:
        """An import as it stands, again and again, until it has ended or waits to be started."""
        return self._watched(f"/v1/customers/imports/{segment(import_id)}")
