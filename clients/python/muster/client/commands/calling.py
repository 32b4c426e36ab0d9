"""`muster api`: any route of the API, for what has no command of its own."""

import codecs
import json
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, cast

import httpx
import typer

from muster.client.api import Connection, Muster, Query
from muster.client.commands.output import AsJson
from muster.client.commands.refusals import exit_code
from muster.client.connection import params_of
from muster.client.errors import ApiError
from muster.client.files import Pieces
from muster.client.paths import own_path

_JSON: Final = "application/json"
_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None}
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")

Method = Annotated[
    Literal["GET", "POST", "PUT", "PATCH", "DELETE"], typer.Argument(case_sensitive=False, help="as the document says")
]
Where = Annotated[
    str,
    typer.Argument(
        metavar="PATH", help="of docs/openapi.json, such as /v1/customers?query=ana; the server is that of the profile"
    ),
]
Field = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        "-F",
        help="NAME=VALUE, several times: of the query for GET and DELETE, and beside --input; else of a JSON body, "
        "where true, false, null and whole numbers are those",
    ),
]
Raw = Annotated[list[str] | None, typer.Option("--raw-field", "-f", help="NAME=VALUE whose value is always a text")]
Input = Annotated[
    typer.FileBinaryRead | None, typer.Option("--input", help="the body, from a file; - for standard input")
]
Type = Annotated[str, typer.Option("--type", help="of the --input, such as text/csv; files go by POST, piece by piece")]
Accept = Annotated[
    str | None, typer.Option(help="another kind of answer to a GET, such as text/csv; it is shown as it comes")
]
Paginate = Annotated[bool, typer.Option("--paginate", help="all pages of a listing: a line of JSON for each item")]
IfMatch = Annotated[
    str | None, typer.Option(help="the ETag of what was seen: where it has changed since, nothing is done")
]
Key = Annotated[str | None, typer.Option(help="idempotency key: the same one does it once; one is made unless said")]


def api(
    method: Method,
    path: Where,
    field: Field = None,
    raw_field: Raw = None,
    body: Input = None,
    content_type: Type = _JSON,
    accept: Accept = None,
    paginate: Paginate = False,  # noqa: FBT002
    if_match: IfMatch = None,
    key: Key = None,
    operator: Annotated[bool, typer.Option(help="ask as the operator, on a local Muster")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Call any route of the API, signed in as the profile. It does at once what it is told, and asks nothing.

    The answer is JSON, indented at a terminal; else, and with --json, on one line. A refusal is on standard error, with
    --json as the problem document.

    Example: muster api PUT /v1/frequency-cap --field messages=4 --field days=7
    """
    _check(method, is_file=content_type != _JSON, body=body, accept=accept, paginate=paginate, if_match=if_match)
    try:
        where, query = own_path(path)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="PATH") from wrong
    given = [*_pairs(field, "--field", typed=True), *_pairs(raw_field, "--raw-field", typed=False)]
    content: Any = None
    if method in ("GET", "DELETE") or body is not None:
        for name, written, _ in given:
            query.setdefault(name, []).append(written)
    else:
        content = _object(given)
    key = key or str(uuid.uuid4())
    with Muster(Connection.from_environment(operator=operator or None)) as muster:
        try:
            if accept or paginate or method == "GET":
                _get(muster, where, query, accept, paginate=paginate, as_json=as_json)
                return
            if query:
                where += f"?{params_of(cast(Mapping[str, Query], query))}"
            if body is not None and content_type != _JSON:
                answer = muster.upload(where, Pieces(_again(body), None), {"Content-Type": content_type}, key=key)
            else:
                answer = _written(muster, method, where, content if body is None else _read(body), key, if_match)
            _show(answer, as_json=as_json)
        except ApiError as refused:
            if not as_json:
                raise
            typer.echo(json.dumps(refused.problem), err=True)
            raise typer.Exit(exit_code(refused)) from refused
        except httpx.TransportError:
            if method != "GET":
                typer.echo(f"To ask again, and have it once all the same: --key {key}", err=True)
            raise


def _check(method: str, *, is_file: bool, body: object, accept: object, paginate: bool, if_match: object) -> None:
    """BadParameter for options that do not go together."""
    for option, said, of, why in (
        ("--paginate", paginate, ("GET",), "only a GET has pages"),
        ("--accept", accept, ("GET",), "only a GET has answers of another kind"),
        ("--if-match", if_match, ("PATCH", "POST"), "it is for a PATCH and a POST"),
        ("--input", body, ("POST", "PUT", "PATCH"), f"a {method} has no body"),
        ("--type", is_file, ("POST",), "files go by POST"),
    ):
        if said and method not in of:
            raise typer.BadParameter(why, param_hint=option)
    if accept and paginate:
        raise typer.BadParameter("pages are JSON", param_hint="--accept")
    if is_file and body is None:
        raise typer.BadParameter("it says of what kind the --input is", param_hint="--type")


def _pairs(written: Sequence[str] | None, option: str, *, typed: bool) -> list[tuple[str, str, Any]]:
    """The name of each field, its value as it was written, and as it is meant."""
    found = []
    for one in written or ():
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"'{one}' is not NAME=VALUE", param_hint=option)
        found.append((name, value, _meant(value) if typed else value))
    return found


def _meant(written: str) -> Any:
    """A number that people write with a zero or a plus before it, such as that of a phone, is a text."""
    if written in _WORDS:
        return _WORDS[written]
    return int(written) if _NUMBER.fullmatch(written) else written


def _object(given: Sequence[tuple[str, str, Any]]) -> dict[str, Any] | None:
    named = {name: value for name, _, value in given}
    if len(named) < len(given):
        raise typer.BadParameter("a name is said twice; lists and objects go by --input", param_hint="--field")
    return named or None


def _read(body: Any) -> Any:
    try:
        return json.loads(body.read())
    except (ValueError, RecursionError) as wrong:
        why = f"it is not JSON ({wrong}); --type says what else it is"
        raise typer.BadParameter(why, param_hint="--input") from wrong


def _again(body: Any) -> Any:
    """A file that can be read again from its start; what comes through a pipe cannot."""
    return body if body.seekable() else body.read()


def _get(
    muster: Muster, where: str, query: dict[str, list[str]], accept: str | None, *, paginate: bool, as_json: bool
) -> None:
    asked = cast(dict[str, Query], query)
    if accept:
        with muster.download(where, accept, **asked) as answer:
            _stream(answer)
    elif paginate:
        try:
            for item in muster.pages(where, **asked):
                print(json.dumps(item))
        except KeyError as missing:
            raise typer.BadParameter(
                f"{where} is no listing: it has no {missing}", param_hint="--paginate"
            ) from missing
    else:
        _show(muster.get(where, **asked), as_json=as_json)


def _written(muster: Muster, method: str, where: str, content: Any, key: str, if_match: str | None) -> Any:
    if method == "DELETE":
        return muster.delete(where, key=key)
    if method == "PUT":
        return muster.put(where, content, key=key)
    act = muster.post if method == "POST" else muster.patch
    return act(where, content, key=key, if_match=if_match)


def _show(answer: Any, *, as_json: bool) -> None:
    """JSON; at a terminal so that people can read it, and nothing in it steers the terminal."""
    if answer is None:
        return
    if as_json or not sys.stdout.isatty():
        print(json.dumps(answer))
    else:
        print(_harmless(json.dumps(answer, indent=2, ensure_ascii=False)))


def _stream(answer: httpx.Response) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in answer.iter_bytes():
        if sys.stdout.isatty():
            print(_harmless(decoder.decode(piece)), end="", flush=True)
        else:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


def _harmless(text: str) -> str:
    """What cannot be printed, spelled as JSON spells it."""
    return "".join(one if one.isprintable() or one in "\n\t" else json.dumps(one)[1:-1] for one in text)
