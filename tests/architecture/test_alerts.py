"""Alerts: each reads metrics that exist, begins where patience ends, and says what to do in the runbook."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase
from typer.testing import CliRunner

from muster.client.commands import app
from muster.client.commands.ops import Action as Commands
from muster.dispatch.api.stuck import Action
from muster.dispatch.domain.waits import PATIENCE_S
from muster.kit import metrics
from muster.kit.topics import main as make_topics

DOCS = Path(__file__).resolve().parents[2] / "docs"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DOCS / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
OF_METRICS = [rule for rule in RULES if "up{" not in rule["expr"]]
"""Those of our own metrics; what Prometheus itself says of its targets is tried in tests/helm."""
METRICS = {
    one._name + ("_total" if isinstance(one, Counter) else ""): one
    for one in vars(metrics).values()
    if isinstance(one, MetricWrapperBase)
}
# The forms that are used: an aggregate of one selector, or how much a counter grew, beside a number.
EXPRESSION = re.compile(
    r"(?:(?:max|sum)(?: by \((?P<by>[\w, ]+)\) )?|increase)"
    r'\((?P<metric>\w+)(?:\{(?P<label>\w+)="(?P<value>[\w-]+)"\})?(?:\[\d+m\])?\) (?:>|==) (?P<bound>\d+)'
)
TARGET = {"job", "instance"}
"""What Prometheus itself says of whom it asked."""


def read(rule: dict[str, Any]) -> re.Match[str]:
    found = EXPRESSION.fullmatch(rule["expr"])
    assert found is not None, rule["expr"]
    return found


@pytest.mark.parametrize("rule", OF_METRICS, ids=lambda rule: rule["alert"])
def test_an_alert_reads_a_metric_that_exists_by_a_label_that_it_has(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert rule["labels"]["severity"] in ("page", "ticket")
    found = read(rule)
    metric = METRICS[found["metric"]]
    named = {found["label"], *(found["by"] or "").split(", ")} - {None, ""} - TARGET
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) - TARGET
    assert named <= set(metric._labelnames)
    assert shown <= named


def test_what_must_be_0_has_an_alert() -> None:
    read_by_some = {read(rule)["metric"] for rule in OF_METRICS}
    must_be_0 = {name for name, one in METRICS.items() if "must be 0" in one._documentation}
    assert must_be_0 - read_by_some == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_is_and_has_a_section_of_the_runbook(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["summary"].endswith(".")
    file, _, anchor = rule["annotations"]["runbook"].partition("#")
    text = (DOCS.parent / file).read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\S+)\n\n(.+)", text, re.M))
    assert anchor == rule["alert"].lower()
    assert sections[rule["alert"]]


def test_every_kind_of_wait_has_an_alert_that_begins_where_the_list_of_stuck_sends_does() -> None:
    bounds = {read(rule)["value"]: int(read(rule)["bound"]) for rule in RULES if "sends_waiting" in rule["expr"]}
    assert bounds == {wait.value: patience_s for wait, patience_s in PATIENCE_S.items()}


def test_the_runbook_names_every_action_and_no_other() -> None:
    text = _runbook()
    table = set(re.findall(r"^\| `(\w+)` \|", text, re.M))
    assert table == set(get_args(Action)) == {one.value for one in Commands}


def test_each_command_of_the_runbook_is_there_with_its_options() -> None:
    """Whoever is woken by an alert copies it; words in capitals are to be filled in."""
    written = re.findall(r"muster (ops [^`#\n]+)", _runbook())
    assert len(written) >= 10
    for words in map(str.split, written):
        commands = words[: 3 if words[1] == "dead-letters" else 2]
        shown = CliRunner().invoke(app, [*commands, "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0, words
        assert all(option in shown.output for option in words if option.startswith("--")), words


def test_the_topics_that_the_runbook_makes_again_are_those_of_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    [words] = map(str.split, re.findall(r"python -m muster\.kit\.topics ([^`]+)", _runbook()))
    with pytest.raises(SystemExit):
        make_topics([*words, "--help"])
    assert (DOCS.parent / words[0]).is_file()
    assert [option for option in words if option.startswith("--")] == ["--kafka"]
    assert "--kafka" in capsys.readouterr().out


def _runbook() -> str:
    return (DOCS / "runbook.md").read_text(encoding="utf-8")
