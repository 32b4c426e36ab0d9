"""What pages are made with: our own styles and scripts and those of packages, under names that hold their hash.

A browser keeps them for ever, since another content has another name.
"""

import base64
import gzip
import hashlib
import re
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import cramjam
from starlette.requests import Request
from starlette.responses import Response

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
# By the name that pages use: where npm has put it.
PACKAGED = {
    "htmx.js": "htmx.org/dist/htmx.min.js",
    "uplot.js": "uplot/dist/uPlot.iife.min.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_WORTH_BYTES = 500  # less is not compressed


class Asset:
    """A file with its media type; compressed at most once each way."""

    def __init__(self, name: str, content: bytes) -> None:
        self.content = content
        self.media_type = _TYPES[Path(name).suffix]
        stem, _, kind = name.rpartition(".")
        digest = base64.b32encode(hashlib.sha256(content).digest()).decode().lower()
        self.file_name = f"{stem}-{digest[:12]}.{kind}"

    @cached_property
    def brotli(self) -> bytes:
        return bytes(cramjam.brotli.compress(self.content, level=11))

    @cached_property
    def gzipped(self) -> bytes:
        return gzip.compress(self.content, 9, mtime=0)


class Assets:
    """All of them. FileNotFoundError where a package is not there: `make setup` puts them there."""

    def __init__(self, packages: Path) -> None:
        own = [one for one in (files(__package__) / "static").iterdir() if Path(one.name).suffix in _TYPES]
        contents = {one.name: one.read_bytes() for one in own}
        contents |= {name: (packages / path).read_bytes() for name, path in PACKAGED.items()}
        self._by_name = {name: Asset(name, content) for name, content in contents.items()}
        self._by_file = {one.file_name: one for one in self._by_name.values()}

    def path(self, name: str) -> str:
        """The path under which pages refer to a file."""
        return f"/assets/{self._by_name[name].file_name}"

    async def serve(self, request: Request) -> Response:
        """A file by its whole name; 404 for one of another release."""
        found = self._by_file.get(request.path_params["file"])
        if found is None:
            return Response(status_code=404)
        accepted = request.headers.get("accept-encoding", "")
        headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
        content = found.content
        if len(content) >= _WORTH_BYTES and re.search(r"\bbr\b", accepted):
            content, headers["Content-Encoding"] = found.brotli, "br"
        elif len(content) >= _WORTH_BYTES and "gzip" in accepted:
            content, headers["Content-Encoding"] = found.gzipped, "gzip"
        return Response(content, media_type=found.media_type, headers=headers)
