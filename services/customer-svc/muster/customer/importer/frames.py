"""What goes between the importer and its children: frames of a length, a letter that says which, and JSON or bytes."""

from typing import BinaryIO, Final

LENGTH_BYTES: Final = 4
FRAME_BYTES_MAX: Final = 64 << 20


def framed(kind: bytes, content: bytes) -> bytes:
    """A frame."""
    return (len(content) + 1).to_bytes(LENGTH_BYTES, "big") + kind + content


def read_frame(source: BinaryIO) -> bytes:
    """The next frame without its length; nothing at the end."""
    head = source.read(LENGTH_BYTES)
    return source.read(int.from_bytes(head, "big")) if len(head) == LENGTH_BYTES else b""
