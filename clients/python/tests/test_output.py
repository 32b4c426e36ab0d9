"""Tables: how wide their columns are."""

from muster.client.commands.output import column_widths


def test_a_table_takes_what_it_needs_and_gives_what_is_left_where_little_is_missing() -> None:
    text = "a text that goes on and on for sixty characters, or about so"
    columns = [["credits used", "12"], ["at", "2026-11-26 20:45:28 UTC"], ["text", text], ["id", "x" * 36]]
    needed = 7 + 23 + 16 + 36 + 1 + 3 * 4
    assert column_widths(columns, needed - 1) is None
    assert column_widths(columns, needed) == [7, 23, 16, 36]
    assert column_widths(columns, needed + 6) == [12, 23, 17, 36], "the name of a column first, then the text"
    assert column_widths(columns, 1_000) == [12, 23, len(text), 36]
    assert column_widths([["text", "https://" + "y" * 90]], 50) == [46], "an address in a text is folded"
    assert column_widths([["name"]], 10) == [4]
