"""Each fact about the stack that we rely on has its regression tests, and these are there."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FACTS: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("pitfalls.yaml").read_text(encoding="utf-8"))


def functions(path: str) -> set[str]:
    """The names of a file's functions."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact["fact"])
def test_a_pitfall_has_regression_tests_and_each_of_them_is_there(fact: dict[str, Any]) -> None:
    assert fact["tests"]
    missing = {path: sorted(set(names) - functions(path)) for path, names in fact["tests"].items()}
    assert {path: names for path, names in missing.items() if names} == {}
