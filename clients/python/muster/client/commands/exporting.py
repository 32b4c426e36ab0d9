"""A listing as a file of any length, with a progress bar on standard error."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx
import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

from muster.client.api import Muster, Query
from muster.client.commands.output import progress_bar

MEDIA_TYPES: Final = {".csv": "text/csv", ".jsonl": "application/x-ndjson"}


def save(muster: Muster, path: str, file: Path, query: Mapping[str, Query]) -> int:
    """Write a listing to `file`, by its ending; how many entries it has. The file is there when all of it is."""
    media_type = MEDIA_TYPES.get(file.suffix.lower())
    if media_type is None:
        raise typer.BadParameter(f"{file} must end in {' or '.join(MEDIA_TYPES)}", param_hint="--export")
    return save_as(muster, path, media_type, file, "--export", **query)


def save_as(muster: Muster, path: str, media_type: str, file: Path, option: str, **query: Query) -> int:
    """Write what is answered to `file`, which is there when all of it is; how many entries it has, where that is
    said. option: what named the file."""
    part = file.with_name(f"{file.name}.part")
    try:
        with muster.download(path, media_type, **query) as answer:
            _copy(answer, part)
            entries = int(answer.headers.get("X-Total-Count", 0))
        os.replace(part, file)
    except OSError as error:
        raise typer.BadParameter(f"cannot write {file}: {error.strerror}", param_hint=option) from error
    finally:
        part.unlink(missing_ok=True)
    return entries


def _copy(answer: httpx.Response, part: Path) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with part.open("wb") as out, progress_bar(*columns) as bar:
        task = bar.add_task("entries", total=int(answer.headers.get("X-Total-Count", 0)) or None)
        for piece in answer.iter_bytes():
            out.write(piece)
            bar.advance(task, piece.count(b"\n"))
