"""Tables: how wide their columns are."""

from typing import Any

import pytest

from muster.client.commands.output import column_widths, show_rows


def test_a_table_takes_what_it_needs_and_gives_what_is_left_where_little_is_missing() -> None:
    text = "a text that goes on and on for sixty characters, or about so"
    columns = [["credits used", "12"], ["at", "2026-11-26 20:45:28 UTC"], ["text", text], ["id", "x" * 36]]
    needed = 7 + 23 + 16 + 36
    assert column_widths(columns, needed - 1) is None
    assert column_widths(columns, needed) == [7, 23, 16, 36]
    assert column_widths(columns, needed + 6) == [12, 23, 17, 36], "the name of a column first, then the text"
    assert column_widths(columns, 1_000) == [12, 23, len(text), 36]
    assert column_widths([["text", "https://" + "y" * 90]], 46) == [46], "an address in a text is folded"
    assert column_widths([["name"]], 10) == [4]


@pytest.mark.parametrize(
    ("width", "is_framed", "has_reason"), [(100, True, True), (62, True, False), (54, False, False), (52, None, False)]
)
def test_a_narrow_terminal_takes_away_what_says_least_first(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, width: int, is_framed: bool | None, has_reason: bool
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "NO_COLOR": "1", "COLUMNS": str(width)}.items():
        monkeypatch.setenv(name, value)
    row = {"topic": "bulk-progress", "offset": 1_234, "updated_at": "2026-11-26T20:45:28Z", "halted": False}
    show_rows([{**row, "reason": None}] * 2, (*row, "reason"), as_json=False)
    shown = capsys.readouterr().out
    assert max(map(len, shown.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines())) <= width
    assert all(word in shown for word in ("bulk-progress", "1,234", "2026-11-26 20:45:28 UTC", "no"))
    assert ("┃" in shown, "reason" in shown) == (bool(is_framed), has_reason)
    assert shown.count("topic") == (2 if is_framed is None else 1)
