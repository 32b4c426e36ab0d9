"""`muster templates`: texts that are kept, each version of them, and what they say to whom."""

from itertools import islice
from typing import Annotated, Any

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.bulk import Class
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.commands.texts import text_from_stdin
from muster.client.exits import ExitCode

app = typer.Typer(no_args_is_help=True, help="Texts that are kept, in versions and languages.")

COLUMNS = ("name", "category", "version", "language", "sends", "schedules", "drafts", "id")
CATEGORIES = ("category", "templates")
VERSIONS = ("version", "text", "sends", "schedules", "drafts", "archived", "created_at", "created_by")

_Id = Annotated[str, typer.Argument(metavar="TEMPLATE", help="its id")]
_Category = Annotated[str | None, typer.Option(help="such as news; one word for several of them")]
_Language = Annotated[str | None, typer.Option(help="of the text: a tag such as de or pt-BR")]
_Variants = Annotated[
    list[str] | None, typer.Option("--variant", help="the text in another language, as LANGUAGE=TEXT; several times")
]
_Text = Annotated[
    str, typer.Argument(help="the text, with merge fields such as {first_name|there}; - for standard input")
]
_Version = Annotated[int | None, typer.Option(min=1, help="one of before; the newest unless said")]
_Limit = Annotated[int, typer.Option(min=1, help="no more than so many")]


@app.callback()
def describe() -> None:
    """Texts that are kept: add and change them, see their versions and what they say to a customer."""


@app.command("list")
def list_templates(
    category: _Category = None,
    archived: Annotated[bool, typer.Option("--archived", help="those that are out of use, instead")] = False,  # noqa: FBT002
    limit: _Limit = 1_000,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """The newest version of each template, with how many sends, schedules and drafts pin it."""
    with Muster(Connection.from_environment()) as muster:
        rows = islice(muster.templates(category=category, archived=archived), limit)
        show_rows(rows if as_json else map(_counted, rows), COLUMNS, as_json=as_json)


@app.command("show")
def show_template(template: _Id, version: _Version = None, as_json: AsJson = False) -> None:  # noqa: FBT002
    """A template, or one of its versions."""
    with Muster(Connection.from_environment()) as muster:
        show(muster.template(template, version), as_json=as_json)


@app.command("versions")
def list_versions(template: _Id, limit: _Limit = 50, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Every version of a template, the newest first, with what pins it."""
    with Muster(Connection.from_environment()) as muster:
        rows = islice(muster.template_versions(template), limit)
        show_rows(rows if as_json else map(_counted, rows), VERSIONS, as_json=as_json)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="as people call it")],
    text: _Text,
    category: _Category = None,
    language: _Language = None,
    variants: _Variants = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Keep a text."""
    said = _said(category=category, language=language, variants=_variants(variants))
    with Muster(Connection.from_environment()) as muster:
        show(muster.add_template(name, _written(text), **said), as_json=as_json)


@app.command("change")
def change(
    template: _Id,
    text: Annotated[str | None, typer.Argument(help="another text; - for standard input")] = None,
    name: Annotated[str | None, typer.Option(help="as people call it")] = None,
    category: _Category = None,
    language: _Language = None,
    variants: _Variants = None,
    drop: Annotated[list[str] | None, typer.Option("--drop-variant", help="no longer in this language")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Add a version in which what is named is changed; the rest is as in the newest one. What pins an older version
    keeps it."""
    with Muster(Connection.from_environment()) as muster:
        before = muster.template(template)
        kept = {tag: other for tag, other in before["variants"].items() if tag not in (drop or ())}
        said = {
            "category": before["category"] if category is None else category,
            "language": language or before["language"],
            "variants": kept | (_variants(variants) or {}),
        }
        written = before["text"] if text is None else _written(text)
        show(muster.change_template(template, name or before["name"], written, **said), as_json=as_json)


@app.command("preview")
def preview(
    template: _Id,
    customer: Annotated[int, typer.Argument(help="whose text it is to be")],
    version: _Version = None,
    message_class: Class = "marketing",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """What a template says to a customer, in their language, with its parts; exit 1 if they would be left out."""
    with Muster(Connection.from_environment()) as muster:
        said = muster.preview_template(template, customer, version, message_class)
        show(said, as_json=as_json)
    if said["text"] is None:
        raise typer.Exit(ExitCode.FAILED)


@app.command("preview-text")
def preview_text(
    text: _Text,
    customer: Annotated[int, typer.Argument(help="whose text it is to be")],
    language: _Language = None,
    variants: _Variants = None,
    message_class: Class = "marketing",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """What a text that is not kept would say to a customer, with its parts; exit 1 if they would be left out."""
    said = _said(text=_written(text), language=language, variants=_variants(variants))
    with Muster(Connection.from_environment()) as muster:
        found = muster.post("/v1/templates/preview", {**said, "customer_id": customer, "class": message_class})
        show(found, as_json=as_json)
    if found["text"] is None:
        raise typer.Exit(ExitCode.FAILED)


@app.command("categories")
def categories(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Categories in use, by name."""
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.pages("/v1/templates/categories"), CATEGORIES, as_json=as_json)


@app.command("archive")
def archive(template: _Id, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Put a template out of use: nothing new is made from it. What pins one of its versions goes on."""
    with Muster(Connection.from_environment()) as muster:
        muster.archive_template(template)
        show({"id": template, "archived": True}, as_json=as_json)


def _written(text: str) -> str:
    return text_from_stdin() if text == "-" else text


def _variants(given: list[str] | None) -> dict[str, str] | None:
    """The texts by language of some LANGUAGE=TEXT."""
    found = {}
    for one in given or ():
        language, equals, text = one.partition("=")
        if not equals:
            raise typer.BadParameter(f"'{one}' is not LANGUAGE=TEXT, such as 'de=Hallo'", param_hint="--variant")
        found[language.strip()] = text
    return found or None


def _said(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _counted(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a table: its counts beside the rest."""
    return {**row, **row["in_use"]}
