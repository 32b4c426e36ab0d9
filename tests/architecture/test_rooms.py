"""Every service has the same rooms under the same names, and nobody reaches into another's."""

import ast
from functools import cache
from pathlib import Path

import pytest

import muster.events as events

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path for path in (ROOT / "services").glob("*-svc"))
ROOMS = {"domain", "events", "store", "handlers", "api", "settings", "main", "migrations"}
OTHERS = {
    # Rooms that one service alone needs, each with its reason in ARCHITECTURE.md.
    "credit-svc": {"payment"},
    "dispatch-svc": {"sender", "failpoint"},
    "customer-svc": {"gatherer", "importer", "planner", "scheduler"},
    "report-svc": {"stream"},
    "reply-svc": {"mail"},
    "tenant-svc": {"mail"},
}
LIBRARIES = {"text", "events", "kit", "laws", "smpp"}


def name_of(service: Path) -> str:
    return service.name.removesuffix("-svc")


def files_of(service: Path) -> list[Path]:
    return sorted((service / "muster" / name_of(service)).rglob("*.py"))


@cache
def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_services_are_those_of_the_design() -> None:
    assert [name_of(path) for path in SERVICES] == ["credit", "customer", "dispatch", "reply", "report", "tenant"]


@pytest.mark.parametrize("service", SERVICES, ids=name_of)
def test_a_service_has_the_rooms_and_no_others(service: Path) -> None:
    inside = {
        p.stem
        for p in (service / "muster" / name_of(service)).iterdir()
        if p.suffix in (".py", "") and p.name[0] not in "_."
    }
    assert inside - {"py"} <= ROOMS | OTHERS.get(service.name, set())
    assert {"domain", "store", "api", "settings", "main", "migrations"} <= inside


@pytest.mark.parametrize("service", SERVICES, ids=name_of)
def test_services_never_import_each_other(service: Path) -> None:
    allowed = LIBRARIES | {name_of(service)}
    for path in files_of(service):
        reached = {name.split(".")[1] for name in imports(path) if name.startswith("muster.")}
        assert reached <= allowed, f"{path} imports {reached - allowed}"


@pytest.mark.parametrize("service", SERVICES, ids=name_of)
def test_only_main_builds_things(service: Path) -> None:
    own = f"muster.{name_of(service)}"
    for path in files_of(service):
        if path.name != "main.py":
            assert not any(name.startswith(f"{own}.main") for name in imports(path)), path


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_libraries_know_no_service(library: str) -> None:
    for path in (ROOT / "libs" / library / "muster").rglob("*.py"):
        reached = {name.split(".")[1] for name in imports(path) if name.startswith("muster.")}
        assert reached <= LIBRARIES, f"{path} imports {reached - LIBRARIES}"


def test_the_kit_has_no_business_noun() -> None:
    nouns = ("customer", "bulk_sms", "recipient", "credit", "suppression", "wallet")
    for path in (ROOT / "libs" / "kit" / "muster" / "kit").rglob("*.py"):
        names = {
            node.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
        }
        assert not [name for name in names if any(noun in name.lower() for noun in nouns)], path


def event_types_in(service: Path) -> set[str]:
    """Every event type that the service's room `events` or `main` names."""
    rooms = [path for path in files_of(service) if "events" in path.parts[-2:][0] or path.stem in ("events", "main")]
    words: set[str] = set()
    for path in rooms:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        words |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        words |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        words |= {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        words |= {name.rpartition(".")[2] for name in imports(path)}
    return words & set(events.TYPES)


@pytest.mark.parametrize("service", SERVICES, ids=name_of)
def test_a_service_names_only_events_the_registry_gives_it(service: Path) -> None:
    name = name_of(service)
    given = {event for topic in (*events.produced_by(name), *events.consumed_by(name)) for event in topic.events}
    assert event_types_in(service) <= given


@pytest.mark.parametrize("service", SERVICES, ids=name_of)
def test_a_service_says_every_event_the_registry_promises(service: Path) -> None:
    promised = {
        event for topic in events.produced_by(name_of(service)) if topic.producer != "all" for event in topic.events
    }
    assert promised <= event_types_in(service)
