"""Draws the saga's matrix into ARCHITECTURE.md: `python tests/contract/saga.py`."""

from pathlib import Path

from muster.dispatch.domain.matrix import STATE_OF, Cell, Heard, Situation, cell_of, changes

FILE = Path(__file__).resolve().parents[2] / "ARCHITECTURE.md"
BEGIN, END = "<!-- the saga, drawn by tests/contract/saga.py -->", "<!-- end of the saga -->"
LEGEND = """\
Rows are what a fact is to a send, columns where the send is. `·` takes the fact's figures and stays; `→` goes to the
situation named; `+` adds the chunks up; `says …` publishes. `=` is a duplicate, `-` comes too late or too early to
matter: both change nothing. `!` contradicts what is known: the send is parked, the number says why; nothing but its
messages is stopped by that. Empty cells cannot be: a test visits every other one, from every send that any facts can
lead to."""
_NAME = {at: at.value for at in Situation}
_ID = {at: at.name for at in Situation}
_SAYS = {
    "adds up": "+",
    "says totals": "says totals",
    "says closed": "says closed",
    "says stopped": "says stopped",
    "says paused": "says paused",
    "says resumed": "says resumed",
}


def diagram() -> str:
    """The situations and what leads from one to the other, for mermaid."""
    lines = ["stateDiagram-v2", f"  [*] --> {_ID[Situation.WAITING]}: any first fact"]
    lines += [f'  state "{STATE_OF[at].name}: {at.value}" as {_ID[at]}' for at in Situation]
    for at in Situation:
        for to, heard in changes(at).items():
            lines.append(f"  {_ID[at]} --> {_ID[to]}: {', '.join(one.value for one in heard)}".replace(", and", " and"))
    return "\n".join(lines)


def table() -> str:
    """The matrix, and why its cells park."""
    whys: list[str] = []
    head = ["heard", *_NAME.values()]
    rows = [[heard.value, *(_cell(cell_of(at, heard), whys) for at in Situation)] for heard in Heard]
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    notes = [f"{number}. {why}" for number, why in enumerate(whys, 1)]
    return "\n".join([*lines, "", *notes])


def _cell(cell: Cell | None, whys: list[str]) -> str:
    if cell is None:
        return ""
    if cell.ignored:
        return "=" if cell.ignored == "duplicate" else "-"
    marks = []
    if cell.parks:
        if cell.parks not in whys:
            whys.append(cell.parks)
        marks.append(f"!{whys.index(cell.parks) + 1}")
    if cell.to is not None:
        marks.append(f"→ {cell.to.value}")
    marks += [_SAYS[one.value] for one in cell.says]
    return " ".join(marks) or "·"


def section() -> str:
    """All that is drawn, between its marks."""
    return f"{BEGIN}\n\n```mermaid\n{diagram()}\n```\n\n{LEGEND}\n\n{table()}\n\n{END}"


def drawn(document: str) -> str:
    """The document with the saga as it is."""
    before, after = document.split(BEGIN)[0], document.split(END)[1]
    return before + section() + after


if __name__ == "__main__":
    FILE.write_text(drawn(FILE.read_text(encoding="utf-8")), encoding="utf-8")
