"""Makes docs/audit.md from the list of acts: `python tests/contract/acts.py`."""

from pathlib import Path

from muster.kit.acts import Act

FILE = Path(__file__).resolve().parents[2] / "docs" / "audit.md"
_BEFORE = """# The audit log

Whatever somebody changes, by a page, a key or the command line, is one line of the log of the business that it was
done to: what, who and in which role, on what, when and why. The line is written with the change itself: neither is
there without the other. A request that comes again with its `Idempotency-Key` is told once, and a setting that is set
to what it is not at all. What takes data out of Muster (all that is held on a person, the evidence of a consent) is
told, too; reading is not.

It holds ids, codes and figures: no name, number or text of a customer, since no line can be changed or erased; the
database refuses that to everybody. What an operator does to a business is in the log of that business; what they do to
the platform (carriers, routes) is in the platform's own.

`GET /v1/audit` (admin, operator) tells it, the newest first, by `user_id`, `act`, `subject_id`, `from` and `to`; the
page is Settings, Who did what; in a terminal, `muster audit`. `act` is the name in the first column, `says` the
sentence; `subject_kind` is the part of the name before the dot, and says what `subject_id` is the id of.
`user_id` is empty where nobody was signed in.
`reason` is what the caller gave as one, or a figure that belongs to the act (the version of a template, a role).

## Acts

This table is made from the code (`libs/kit/muster/kit/acts.py`; `python tests/contract/acts.py`), and a test holds it
to that. Names never change, and may become more. That each route which changes something tells an act is held by
a test too (`tests/architecture/test_acts.py`).

| act | |
|---|---|
"""


def text() -> str:
    """The page as it is committed."""
    return _BEFORE + "".join(f"| `{act.value}` | {act.says} |\n" for act in Act)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
