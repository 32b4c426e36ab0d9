"""Deliberate faults: each one changes one function of an imported core, and the explorer has to find it. Those that
have a `seed` are put into the whole running code too, where the simulation has to find them.

A fault is text of the function's source and what stands there instead. The changed function's code is put into the
function that everybody has already imported, so nobody goes on with the old one. Text that is not there exactly once
means that the core has moved on: FaultDoesNotApply, never a fault that silently does nothing.

Where the running code decides in SQL, and the pure function is only held to be the same rule, the fault has the same
change of the statements as well (`statements`).
"""

import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final


class FaultDoesNotApply(Exception):
    """The function is not what it was when the fault was written."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`changes` are pairs of source text in the function `target` ("module:function"); `law` is what it breaks, and
    `world` the smallest world of the explorer in which it shows. `statements` are ("module:NAME", clause, what stands
    there instead); `seed` is one of the simulation that finds it."""

    name: str
    target: str
    changes: tuple[tuple[str, str], ...]
    law: str
    world: str
    statements: tuple[tuple[str, str, str], ...] = ()
    seed: int = 0

    def function(self) -> FunctionType:
        """The function as it is imported."""
        module, _, name = self.target.partition(":")
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if not isinstance(found, FunctionType):
            raise FaultDoesNotApply(f"{self.name}: there is no function {self.target}")
        return found

    def source(self) -> str:
        """The function's source with the fault in it."""
        text = textwrap.dedent(inspect.getsource(self.function()))
        for old, new in self.changes:
            if text.count(old) != 1:
                raise FaultDoesNotApply(f"{self.name}: {old!r} is {text.count(old)} times in {self.target}")
            text = text.replace(old, new)
        return text

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The core with the fault in it, until the end of the block."""
        undo = self.put()
        try:
            yield
        finally:
            undo()

    def put(self) -> Callable[[], None]:
        """The fault into the core; answers what takes it out again."""
        function = self.function()
        namespace: dict[str, Callable[..., object]] = {}
        exec(compile(self.source(), f"<fault: {self.name}>", "exec"), function.__globals__, namespace)
        changed = namespace[function.__name__]
        assert isinstance(changed, FunctionType)
        sound = function.__code__
        function.__code__ = changed.__code__
        return lambda: setattr(function, "__code__", sound)

    def put_everywhere(self) -> None:
        """The fault into the running code, for good."""
        for place, clause, instead in self.statements:
            module, _, name = place.partition(":")
            without(importlib.import_module(module), name, clause, instead)
        if not self.statements:
            self.put()


def without(module: Any, name: str, clause: str, instead: str) -> None:
    """Take a clause out of a statement that must have it exactly once."""
    sql = getattr(module, name, "")
    if sql.count(clause) != 1:
        raise FaultDoesNotApply(f"{clause!r} is {sql.count(clause)} times in {name}")
    setattr(module, name, sql.replace(clause, instead))


_LEDGER: Final = "muster.credit.domain.reservations"
_DISPATCH: Final = "muster.dispatch.domain"
_QUEUE: Final = "muster.dispatch.store.queue"
_CLAIMS: Final = "muster.dispatch.store.claims"

FAULTS: Final = (
    Fault(
        "a request for credits that was answered is answered anew",
        f"{_LEDGER}:reserve",
        (("if row.answer is not None:", "if row.answer is not None and row.closed:"),),
        law="reserved",
        world="send",
        seed=12,
    ),
    Fault(
        "a reservation does not look at what is available",
        f"{_LEDGER}:_limit",
        (("account.available if room is None", "account.granted if room is None"),),
        law="granted",
        world="wallet",
    ),
    Fault(
        "a settlement that was overtaken is applied as well",
        f"{_LEDGER}:settle",
        (
            ("if totals.version <= row.version:", "if totals.version < 0:"),
            (
                "min(max(row.released, totals.released), row.reserved - used)",
                "min(totals.released, row.reserved - used)",
            ),
        ),
        law="granted",
        world="send",
    ),
    Fault(
        "a settlement forgets what was posted before",
        f"{_LEDGER}:settle",
        (
            (
                "if totals.version <= row.version:",
                "row = row._replace(version=-1, used=0, released=0, closed=False)\n    if totals.version < 0:",
            ),
        ),
        law="granted",
        world="send",
        seed=1,
    ),
    Fault(
        "a settlement moves no credits of the account",
        f"{_LEDGER}:settle",
        (("left = entries[-1].account if entries else account", "left = account"),),
        law="granted",
        world="send",
        seed=1,
    ),
    Fault(
        "a stop releases twice",
        f"{_LEDGER}:settle",
        (("min(max(row.released, totals.released), row.reserved - used)", "row.released + totals.released"),),
        law="reserved",
        world="send",
    ),
    Fault(
        "a settlement forgets the unknown",
        f"{_DISPATCH}.accounting:totals",
        (("held = tally.unknown_credits + tally.on_wire_credits", "held = tally.on_wire_credits"),),
        law="bounded",
        world="send",
        seed=3,
    ),
    Fault(
        "a send is closed while credits are held",
        f"{_DISPATCH}.saga:_ends",
        (("else not held", "else True"),),
        law="reserved",
        world="send",
        seed=3,
    ),
    Fault(
        "a reservation that comes after the end is not answered",
        f"{_DISPATCH}.saga:advance",
        (
            (
                "says: tuple[Says, ...] = cell.says",
                "says: tuple[Says, ...] = () if bulk.ending and isinstance(fact, Reserved) else cell.says",
            ),
        ),
        law="reserved",
        world="send",
    ),
    Fault(
        "a completion is counted twice",
        f"{_DISPATCH}.saga:_take_done",
        (("done=fact.chunks", "done=fact.chunks + 1"),),
        law="bounded",
        world="send",
        seed=1,
    ),
    Fault(
        "an intent does not ask whether its send goes on",
        f"{_DISPATCH}.leases:may_intend",
        (("and bulk.claimable", "and not bulk.parked"),),
        law="submit",
        world="sender",
        statements=(
            (f"{_CLAIMS}:_WAITING", " AND g.ending = ''", ""),
            (f"{_CLAIMS}:_LEASE", " AND ending = ''", ""),
            (f"{_QUEUE}:_INTEND", " AND ending = ''", ""),
        ),
        seed=2,
    ),
    Fault(
        "an intent does not ask whose lease it is",
        f"{_DISPATCH}.leases:may_intend",
        (("return leased and same_epoch and", "return"),),
        law="used",
        world="sender",
    ),
    Fault(
        "an intent does not look at the clock",
        f"{_DISPATCH}.leases:may_intend",
        (("not over and ", ""),),
        law="submit",
        world="sender",
    ),
    Fault(
        "what an intent covered goes back to the queue",
        f"{_DISPATCH}.slots:recover",
        (("after[slot] = Slot.UNKNOWN", "after[slot] = Slot.RETRY"),),
        law="used",
        world="sender",
        seed=3,
    ),
    Fault(
        "a stop ends what is unknown as well",
        f"{_DISPATCH}.slots:end_open",
        (("slots.translate(_translation(to))", "slots.translate(_translation(to)).replace(b'\\x02', bytes((to,)))"),),
        law="used",
        world="sender",
    ),
    Fault(
        "what is unknown is never settled",
        f"{_DISPATCH}.slots:settle",
        (("slots.replace(bytes((Slot.UNKNOWN,)), bytes((Slot.CHARGED if charge else Slot.RELEASED,)))", "slots"),),
        law="bounded",
        world="chunk",
        seed=3,
    ),
    Fault(
        "a receipt overwrites a final one",
        f"{_DISPATCH}.receipts:apply",
        ((" and receipts[slot] == Receipt.NONE", ""),),
        law="once",
        world="report",
    ),
    Fault(
        "the report takes lower versions",
        "muster.report.domain:takes",
        (("said > stored", "said != stored"),),
        law="report",
        world="report",
    ),
    Fault(
        "the report counts a message again that it knows",
        "muster.report.domain:deltas",
        (("delta[before] -= count", "delta[before] -= 0"),),
        law="report",
        world="report",
        seed=1,
    ),
)
