"""Whom a send is for, as options of a command: --to and --exclude, each as often as it is needed."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

To = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        help="all, tag:NAME, list:NAME, search:NAME (a saved one), or a query; several tags or lists: one of them",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        help="tag:NAME, list:NAME, messaged:DAYS, cap:MESSAGES/DAYS, 'seen:FIELD=2026-05-01', or a query",
    ),
]
_SEVERAL: Final = {"tag": "tags", "list": "lists"}


def audience(to: Sequence[str] | None, exclude: Sequence[str] | None, tag: str | None = None) -> dict[str, Any]:
    """The audience of the API that the options say; everyone unless they say whom. tag: what --tag says."""
    asked: dict[str, Any] = {"tag": tag} if tag else {}
    for one in to or ():
        if one != "all":
            _put(asked, one, {"search": ("saved_search", str)}, "--to")
    if not asked or "all" in (to or ()):
        if asked:
            raise typer.BadParameter("all is everyone: name nobody else", param_hint="--to")
        asked["all"] = True
    excluded: dict[str, Any] = {}
    for one in exclude or ():
        _put(excluded, one, _EXCLUDED, "--exclude")
    return {**asked, "exclude": excluded} if excluded else asked


def _put(said: dict[str, Any], one: str, kinds: Mapping[str, tuple[str, Any]], option: str) -> None:
    kind, colon, value = one.partition(":")
    if not colon or kind not in {**_SEVERAL, **kinds}:
        _once(said, "query", one, option)
    elif not value.strip():
        raise typer.BadParameter(f"{kind}: needs a name or a figure", param_hint=option)
    elif kind in _SEVERAL:
        said.setdefault(_SEVERAL[kind], []).append(value)
    else:
        member, read = kinds[kind]
        try:
            _once(said, member, read(value), option)
        except ValueError as wrong:
            raise typer.BadParameter(f"{one} is not written as --help says", param_hint=option) from wrong


def _once(said: dict[str, Any], member: str, value: Any, option: str) -> None:
    if member in said:
        what = "a query says with `and` and `or` what else" if member == "query" else "it is said twice"
        raise typer.BadParameter(what, param_hint=option)
    said[member] = value


def _cap(written: str) -> dict[str, int]:
    messages, days = written.split("/")
    return {"messages": int(messages), "days": int(days)}


def _seen(written: str) -> dict[str, str]:
    field, since = written.split("=")
    return {"field": field.strip(), "since": since.strip()}


_EXCLUDED: Final[Mapping[str, tuple[str, Any]]] = {
    "messaged": ("messaged_in_days", int),
    "cap": ("cap", _cap),
    "seen": ("seen_since", _seen),
}
