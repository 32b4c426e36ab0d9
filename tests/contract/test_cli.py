"""What is said of the command line is what it does."""

import ast
from pathlib import Path

from contract import cli

from muster.client.commands import ops
from muster.laws.result import SERVICES

COMMANDS = Path(__file__).resolve().parents[2] / "clients/python/muster/client/commands"


def test_the_page_of_the_command_line_is_what_the_code_says():
    assert cli.FILE.read_text(encoding="utf-8") == cli.text(), "python tests/contract/cli.py makes it anew"


def test_every_command_says_what_it_does_and_answers_programs():
    silent = [name for name, command in cli.commands() if not (command.help or "").strip()]
    people_only = [name for name, one in cli.commands() if not any("--json" in param.opts for param in one.params)]
    # The simulator hands its arguments on.
    assert (silent, people_only) == ([], ["muster carrier simulate"])


def test_every_argument_and_option_says_what_it_is():
    silent = [
        (name, param.name) for name, one in cli.commands() for param in one.params if not getattr(param, "help", None)
    ]
    assert silent == []


def test_a_list_of_commands_says_one_thing_of_each():
    long = [name for name, one in cli.commands() if "\n" in one.short_help or len(one.short_help) > 130]
    assert long == []


def test_no_command_asks_in_a_way_that_shows_on_standard_output():
    """typer.confirm, and typer.prompt where what is typed is seen, write there: `dialogue` asks."""
    asks = [
        f"{path.name}:{call.lineno}"
        for path in COMMANDS.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("typer.confirm", "typer.prompt")
        and not any(one.arg == "hide_input" for one in call.keywords)
    ]
    assert asks == []


def test_no_command_exits_by_a_number_of_its_own():
    numbers = [
        f"{path.name}:{call.lineno}"
        for path in COMMANDS.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and getattr(call.func, "attr", getattr(call.func, "id", "")) in ("Exit", "exit")
        and any(isinstance(argument, ast.Constant) for argument in call.args)
    ]
    assert numbers == []


def test_an_operator_can_name_every_service():
    assert tuple(ops.Service) == SERVICES
    assert set(ops.Books) < set(SERVICES)
