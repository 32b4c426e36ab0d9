"""How files and rows are read: in this process, for the small ones, or by a child of it."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import orjson

from muster.customer.domain.files.kinds import Kind
from muster.customer.domain.files.reading import Block, Opened, Options, read
from muster.customer.domain.files.refused import FileRefused
from muster.customer.domain.importing import Repair, RowError
from muster.customer.domain.refusal import Refusal
from muster.customer.importer.blocks import Parsed, Plan, parse
from muster.customer.importer.frames import FRAME_BYTES_MAX, LENGTH_BYTES, framed
from muster.customer.importer.guess import guess_encoding

_PIPE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A block, and how many bytes of the file were read by then."""

    block: Block
    bytes_read: int


class Engine(Protocol):
    """Reads files and rows. FileRefused for a file that is none."""

    def read(self, path: str, options: Options) -> AsyncGenerator[Opened | Piece, None]:
        """What a file is, then its blocks."""
        ...

    async def parse(self, plan: Plan, first_row: int, text: bytes) -> Parsed:
        """A block of rows."""
        ...


class Inline:
    """In this process, which does nothing else for the milliseconds that a block takes: for small files."""

    async def read(self, path: str, options: Options) -> AsyncGenerator[Opened | Piece, None]:
        """What a file is, then its blocks."""
        # Of a size that is read in a millisecond.
        with open(path, "rb") as file, closing(read(file, options, guess_encoding)) as pieces:  # noqa: ASYNC230
            for piece in pieces:
                yield piece if isinstance(piece, Opened) else Piece(piece, file.tell())
                await asyncio.sleep(0)

    async def parse(self, plan: Plan, first_row: int, text: bytes) -> Parsed:
        """A block of rows."""
        await asyncio.sleep(0)
        return parse(plan, first_row, text)

    async def stop(self) -> None:
        """There is nothing to end."""


class ChildDied(OSError):
    """The child ended before it had answered: it may be asked again."""


class Child:
    """By a process of its own, started when it is needed and ended when it was not for a while. One thing at a time."""

    def __init__(self, *, idle_s: float, memory_bytes_max: int) -> None:
        self._idle_s = idle_s
        self._memory_bytes_max = memory_bytes_max
        self._process: asyncio.subprocess.Process | None = None
        self._busy = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None

    async def read(self, path: str, options: Options) -> AsyncGenerator[Opened | Piece, None]:
        """What a file is, then its blocks."""
        async with self._busy:
            finished = False
            try:
                await self._ask(framed(b"F", orjson.dumps({"path": path, "options": asdict(options)})))
                while (answer := await self._answer())[:1] != b"E":
                    if answer[:1] == b"R":
                        finished = True
                        raise FileRefused(Refusal(**orjson.loads(answer[1:])))
                    if answer[:1] == b"O":
                        yield _opened(orjson.loads(answer[1:]))
                    else:
                        first_row, rows, bytes_read = orjson.loads(answer[1:])
                        yield Piece(Block(first_row, rows, (await self._answer())[1:]), bytes_read)
                finished = True
            finally:
                await self._rest(whole=finished)

    async def parse(self, plan: Plan, first_row: int, text: bytes) -> Parsed:
        """A block of rows."""
        async with self._busy:
            finished = False
            try:
                request = framed(b"Q", orjson.dumps({"plan": plan.packed(), "first_row": first_row}))
                await self._ask(request + framed(b"T", text))
                told, rows, numbers = [(await self._answer())[1:] for _ in range(3)]
                finished = True
            finally:
                await self._rest(whole=finished)
        return _parsed(orjson.loads(told), rows, numbers)

    async def stop(self) -> None:
        """End the child, if there is one."""
        if self._idle is not None:
            self._idle.cancel()
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _ask(self, request: bytes) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "muster.customer.importer.child", str(self._memory_bytes_max)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_PIPE_BYTES,
                env={"PYTHONDONTWRITEBYTECODE": "1"},
            )
        assert self._process.stdin is not None
        self._process.stdin.write(request)
        await self._process.stdin.drain()

    async def _answer(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            length = int.from_bytes(await self._process.stdout.readexactly(LENGTH_BYTES), "big")
            if length > FRAME_BYTES_MAX:
                raise ChildDied("an answer that is none")
            return await self._process.stdout.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise ChildDied("the child ended") from error

    async def _rest(self, *, whole: bool) -> None:
        """What was broken off leaves half of an answer in the pipe: that child is not asked again."""
        if not whole:
            await self.stop()
            return
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(self._idle_s, self._retire)

    def _retire(self) -> None:
        if self._process is not None and self._process.stdin is not None and not self._busy.locked():
            self._process.stdin.close()
            self._process = None


def _opened(told: dict[str, Any]) -> Opened:
    return Opened(Kind(told["kind"]), told["encoding"], told["separator"], told["sheet"], tuple(told["header"]))


def _parsed(told: dict[str, Any], rows: bytes, numbers: bytes) -> Parsed:
    wrong = [RowError(**one) for one in told["wrong"]]
    refused = [(row, cells) for row, cells in told["refused"]]
    return Parsed(rows, numbers, told["good"], wrong, refused, [Repair(**one) for one in told["repairs"]])
