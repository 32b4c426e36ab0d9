"""Files of customers whose importer dies: the business has afterwards what the file means, as if nothing had been."""

import os
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from e2e_world import Business
from imports import contents, damage

from chaos.nemesis import POLL_S, Broken, Chaos, must
from chaos.registry import row

ROWS, ROWS_FULL, LARGE = 10_000, 1_000_000, 100_000
SHARE = 0.01
WORKER = "customer.worker.0"
_LOOK_S = 0.01
_TRIES = 3
_FIGURES = (
    "rows",
    "rows_total",
    "imported",
    "created",
    "updated",
    "unchanged",
    "rejected",
    "removed",
    "bytes",
    "repairs",
)


def rows_wanted(usual: int) -> int:
    """How many rows the file is to have, by the environment, or as usual."""
    full = ROWS_FULL if os.environ.get("FULL") == "1" else usual
    return int(os.environ.get("IMPORT_ROWS") or full)


@row("33", "kill -9 of the worker while a file of customers is read and while it is applied", fires=2)
def dies_while_it_imports(chaos: Chaos) -> None:
    """The file, of which 1 % is damaged in ten ways, is imported as the same file is in peace, and as it is meant;
    IMPORT_ROWS says how large it is."""
    count = rows_wanted(ROWS)
    for _ in range(_TRIES):
        file = File(chaos.random.randrange(1_000_000), count)
        shaken = opened(chaos)
        done = imported(chaos, shaken, file, kills=True)
        if done is not None:
            break
    else:
        raise Broken(f"the worker was killed twice within one of {_TRIES} imports of {count} rows")
    peaceful = opened(chaos)
    wanted = imported(chaos, peaceful, file, kills=False)
    chaos.check_when_quiet(lambda: is_the_same(chaos, file, (shaken, done), (peaceful, wanted)))


@dataclass(frozen=True)
class File:
    """A file that can be made again."""

    seed: int
    count: int

    def rows(self) -> Any:
        """What it means, row by row."""
        return damage.rows(seed=self.seed, count=self.count, share=SHARE)

    def content(self) -> bytes:
        """All of it."""
        return damage.file_of(seed=self.seed, count=self.count, share=SHARE)


def opened(chaos: Chaos) -> Business:
    """A business that has defined what the file holds, and has nobody yet."""
    business = chaos.patiently(lambda: chaos.world.business(credits=0), "a business is opened")
    for key, kind in damage.FIELDS.items():
        business.ask.put(f"/v1/own-fields/{key}", {"name": key, "kind": kind})
    return business


def imported(chaos: Chaos, business: Business, file: File, *, kills: bool) -> Any:
    """How an import ended; None where it was over before its worker had died twice."""
    content = file.content()
    begun = chaos.patiently(lambda: business.ask.begin_import(content), "a file is taken")
    path = f"/v1/customers/imports/{begun['id']}"

    def stands() -> Any:
        return chaos.patiently(lambda: business.ask.get(path), "an import is shown")

    if kills:
        # The moments are what chance decides; in a small file the first may come before or behind the end of reading.
        moments = chaos.random.uniform(0, 0.9 if file.count > ROWS else 0.1), chaos.random.uniform(0.1, 0.6)
        for step, moment in zip(("bytes_read", "rows"), moments, strict=True):
            if not reached(stands, step, moment):
                return None
            state = stands()["state"]
            pid = chaos.kill(WORKER)
            chaos.fired[f"while {state}"] += 1
            chaos.until_ended(WORKER, pid)
            if stands()["state"] == "done":
                return None
            chaos.until_started(WORKER, pid)
    while (standing := stands())["state"] != "done":
        must(standing["problem"] is None, f"the file is imported: {standing}")
        time.sleep(POLL_S)
    return standing


def reached(stands: Any, step: str, moment: float) -> bool:
    """Wait until that part of the file was read, or of its rows applied; False where all were."""
    while (standing := stands())["state"] != "done":
        total = standing["bytes" if step == "bytes_read" else "rows_total"]
        if total and standing[step] >= total * moment:
            return True
        time.sleep(_LOOK_S)
    return False


def is_the_same(chaos: Chaos, file: File, shaken: tuple[Business, Any], peaceful: tuple[Business, Any]) -> None:
    """Figures, customers, numbers, consents, fields, tags, and the file of rows left out, to the byte."""
    (one, done), (other, wanted) = shaken, peaceful
    figures, in_peace = ({name: standing[name] for name in _FIGURES} for standing in (done, wanted))
    must(figures == in_peace, f"the figures are those of an import in peace: {figures}, and {in_peace}")
    must(left_out(one, done) == left_out(other, wanted), "the file of rows left out is that of an import in peace")
    server, _, _ = chaos.stack.run["postgres"].rpartition("/")
    dsn, ids = f"{server}/customer", (UUID(one.id), UUID(other.id))
    limit_s = 60 + file.count / 1_000
    unlike = chaos.run(contents.differences(dsn, *ids), limit_s)
    must(not unlike, f"both businesses have the same: {unlike}")
    wrong = chaos.run(contents.not_as_meant(dsn, ids[0], file.rows()), limit_s)
    must(not wrong, f"the business has what the file means: {wrong}")
    must(chaos.run(contents.left_over(dsn, ids[0])) == 0, "nothing of the import is left behind")
    met = {one.damage for one in file.rows()} - {""}
    must(met == set(damage.KINDS), f"the file is damaged in each of the ways: {met}")


def left_out(business: Business, done: Any) -> bytes:
    """The file of the rows that were left out."""
    with business.ask.download(done["rejected_url"], "text/csv") as answer:
        return bytes(answer.read())
