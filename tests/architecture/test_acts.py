"""Each route that changes something tells the audit log, and each act that the log knows is told somewhere.

What a route reaches is found in its source: from the endpoint over every function and method of Muster that is named
in it, by what the names stand for there, and so on.
"""

import ast
import inspect
import re
import sys
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from contract.openapi import app_of
from fastapi.routing import iter_route_contexts

from muster.customer.handlers import messages
from muster.kit import audit
from muster.kit.acts import Act
from muster.local.routes import SERVICES
from muster.tenant import mail

ROOT = Path(__file__).resolve().parents[2]
ROOMS = re.compile(r"muster\.(kit|tenant|customer|credit|dispatch|reply|report)\.(?!domain|events|store)")
"""Where acts are told: by services and the kit, in no room that may not know of either."""
NOT_GET = {
    (verb, context.path): context.endpoint
    for service in SERVICES
    for context in iter_route_contexts(app_of(service).routes)
    for verb in context.methods - {"GET", "HEAD"}
}
SILENT = {
    ("POST", "/v1/quotes"): "a quote sends nothing, and costs nothing",
    ("POST", "/v1/bulk-sms/{bulk_id}/again"): "a quote, too",
    ("POST", "/v1/bulk-sms/{bulk_id}/checks/verification"): "looks at a signature",
    ("POST", "/v1/routes/test"): "says which carrier a message would take",
    ("POST", "/v1/schedules/preview"): "says when a schedule would start",
    ("POST", "/v1/templates/preview"): "shows a text",
    ("POST", "/v1/links/look"): "shows whom a link is for",
    ("POST", "/v1/token"): "a session or a key is told when it is opened or made; its tokens are many, and short-lived",
    ("POST", "/o/{token}"): "a customer's own opt-out, which the history of the number keeps",
    ("POST", "/v1/credits/payments/webhook"): "a payment provider, whose grants the statement keeps",
    ("POST", "/v1/inbound/{carrier}"): "a carrier",
    ("POST", "/v1/receipts/{carrier}"): "a carrier",
}
"""Routes that tell nothing, each with why: they change nothing, or nobody of a business calls them."""
LATER = {
    ("POST", "/v1/messages"): messages.take,
    ("POST", "/v1/test-messages"): messages.take,
    ("POST", "/v1/password-resets"): mail.answer_asked,
}
"""Routes whose requests are gathered or queued, with the function that does what they ask for."""


@cache
def parsed(module: str) -> dict[int, ast.AST]:
    """The functions of a module by the line at which their code begins."""
    source = Path(str(sys.modules[module].__file__)).read_text(encoding="utf-8")
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[min([node.lineno, *(one.lineno for one in node.decorator_list)])] = node
    return found


@cache
def named(function: FunctionType) -> frozenset[FunctionType]:
    """The functions of Muster that are named in a function: by globals, their attributes, what is annotated there."""
    tree = parsed(function.__module__)[function.__code__.co_firstlineno]
    known = dict(function.__globals__)
    for node in ast.walk(tree):
        if isinstance(node, (ast.AnnAssign, ast.arg)) and node.annotation is not None:
            kind = value_of(node.annotation, function.__globals__)
            if isinstance(kind, type):
                known[node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)] = kind
    owner = function.__qualname__.rpartition(".")[0]
    if owner and "<locals>" not in owner:
        known["self"] = function.__globals__[owner]
    meant = [value_of(node, known) for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute))]
    functions = [inspect.unwrap(one) for one in meant if isinstance(one, FunctionType)]
    return frozenset(one for one in functions if ROOMS.match(one.__module__))


def value_of(node: ast.expr, known: dict[str, Any]) -> Any:
    """What a name, or an attribute of a module or a class, stands for; None for what is known only as it runs."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = value_of(node.value, known)
        places = owner.__mro__ if isinstance(owner, type) else [owner] if isinstance(owner, ModuleType) else []
        return next((vars(one)[node.attr] for one in places if node.attr in vars(one)), None)
    return None


def reached(function: FunctionType) -> set[FunctionType]:
    """All functions of Muster that may run in a function."""
    found, ahead = set(), {inspect.unwrap(function)}
    while ahead:
        found |= ahead
        ahead = {one for function in ahead for one in named(function)} - found
    return found


def test_each_route_that_changes_something_tells_the_audit_log():
    doing = {route: LATER.get(route, endpoint) for route, endpoint in NOT_GET.items()}
    silent = {route for route, function in doing.items() if audit.record not in reached(function)}
    assert silent == set(SILENT)


def test_each_act_is_told_somewhere():
    sources = [*ROOT.glob("services/*/muster/**/*.py"), *ROOT.glob("libs/kit/muster/**/*.py")]
    told = {
        name for path in sources for name in re.findall(r"\bAct\.([A-Z][A-Z_]+)\b", path.read_text(encoding="utf-8"))
    }
    assert told == {act.name for act in Act}


def test_acts_are_named_in_one_style_and_told_in_one_line():
    assert [act for act in Act if not re.fullmatch(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*", act)] == []
    assert [act for act in Act if not re.fullmatch(r"[A-Z].{5,70}[a-z]", act.says)] == []
    assert len({act.says for act in Act}) == len(Act)
