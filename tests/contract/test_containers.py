"""The container files without a container engine: what they name exists, and what must be given is given."""

import importlib.util
import json
import re
import runpy
import stat
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import jsonschema
import pytest
import yaml

from muster.kit.settings import ProcessSettings
from muster.local.programs import program
from muster.local.routes import PAGES, SERVICES
from muster.local.stack import ROLES

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "deploy" / "docker"
TEXT = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
BY_IMAGE = dict(re.findall(r"(MUSTER_[A-Z_]+)=(\S+)", DOCKERFILE))
# Read by the shell of the image, not by settings.
NOT_A_SETTING = {"MUSTER_SERVICE"}
OURS = {
    name: (service["build"]["args"]["SERVICE"], service)
    for name, service in COMPOSE["services"].items()
    if "build" in service and name != "topics"
}
SECRETS = {"database_app", "database_worker", "hash_key", "bulk_id_key", "operator_client_secret", "carrier_password"}
install = runpy.run_path(str(DOCKER / "install.py"))
env = runpy.run_path(str(DOCKER / "env.py"))


def settings_of(service: str) -> type[ProcessSettings]:
    module = import_module(f"muster.{service}.settings")
    return getattr(module, f"{service.capitalize()}Settings")


def filled(value: object) -> str:
    """The value as compose gives it: what must be given is 32 bytes, hexadecimal; the rest has its default."""
    text = re.sub(r"\$\{[A-Z_]+:\?\}", "ab" * 32, str(value))
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text)


def test_compose_is_a_compose_file():
    # The package does not import beside our version of click; its copy of the schema is what we want of it.
    package = importlib.util.find_spec("check_jsonschema")
    assert package is not None
    assert package.origin is not None
    schema = Path(package.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(COMPOSE, json.loads(schema.read_text(encoding="utf-8")))


def test_every_process_of_a_laptop_runs_in_containers_too_and_no_other():
    wanted = {f"{service}-{role}" for service in SERVICES for role in (*ROLES[service], "migrate")}
    assert set(OURS) == {*wanted, f"{PAGES}-api"}
    assert all(name == f"{service}-{told.get('command', ['api'])[0]}" for name, (service, told) in OURS.items())


@pytest.mark.parametrize("name", OURS)
def test_each_variable_that_a_container_is_told_is_one_of_its_settings(name):
    service, told = OURS[name]
    known = {f"MUSTER_{field}".upper() for field in settings_of(service).model_fields}
    assert set(told["environment"]) - known == set()


def test_each_variable_of_the_image_is_a_setting_of_some_service():
    known = {f"MUSTER_{field}".upper() for one in (*SERVICES, PAGES) for field in settings_of(one).model_fields}
    assert set(BY_IMAGE) - known - NOT_A_SETTING == set()


@pytest.mark.parametrize("name", OURS)
def test_a_container_is_told_each_secret_and_each_address_that_is_another_one_than_on_a_laptop(name):
    service, told = OURS[name]
    given = {key.removeprefix("MUSTER_").lower() for key in (*told["environment"], *BY_IMAGE)}
    fields = settings_of(service).model_fields
    local = {field for field, one in fields.items() if "127.0.0.1" in str(one.default)}
    missing = (local | SECRETS & set(fields)) - given
    assert missing == set()
    assert ("postgres" in given) == name.endswith("-migrate")  # the administrator's password, to nobody else


@pytest.mark.parametrize("name", OURS)
def test_the_settings_take_what_a_container_is_told(name, monkeypatch):
    service, told = OURS[name]
    for key, value in told["environment"].items():
        monkeypatch.setenv(key, filled(value))
    loaded = settings_of(service)()
    for key, value in told["environment"].items():
        if key.startswith("MUSTER_DATABASE"):
            role = key.rpartition("_")[2].lower()
            shown = getattr(loaded, f"database_{role}").get_secret_value()
            assert shown == f"postgresql://{service}_{role}:{'ab' * 32}@postgres:5432/{service}", value


@pytest.mark.parametrize("name", OURS)
def test_a_container_may_do_nothing_but_run(name):
    told = OURS[name][1]
    assert told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in told
    assert "privileged" not in told
    assert int(told["stop_grace_period"].removesuffix("s")) > settings_of(OURS[name][0])().stop_s_max


def test_no_image_is_the_latest_and_the_image_s_user_is_not_root():
    images = [service["image"] for service in COMPOSE["services"].values()]
    images += re.findall(r"^ARG PYTHON=(\S+)", DOCKERFILE, re.MULTILINE)
    assert all(":" in image and not image.endswith(":latest") for image in images)
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["10001:10001"]


def test_only_the_gateway_is_reached_from_outside_and_the_stores_reach_nobody():
    assert [name for name, service in COMPOSE["services"].items() if "ports" in service] == ["gateway"]
    assert COMPOSE["services"]["gateway"]["networks"] == ["front"]
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    assert [COMPOSE["services"][store]["networks"] for store in ("kafka", "postgres")] == [["stores"]] * 2


def test_the_gateway_s_configuration_is_made_from_the_table_of_routes_and_caddy_takes_it():
    made = runpy.run_path(str(Path(__file__).with_name("gateway.py")))
    file = DOCKER / "gateway.json"
    assert file.read_text(encoding="utf-8") == made["text"](), "python tests/contract/gateway.py"
    subprocess.run([program("caddy"), "validate", "--config", file], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("service", [*SERVICES, PAGES])
def test_an_image_has_what_the_service_and_its_libraries_name_pinned_and_hashed(service):
    own, others = install["needs"](install["folder_of"](service))
    assert own[-1].name in {service, f"{service}-svc"}
    assert {"kit", "events"} <= {package.name for package in own}
    pins = re.findall(r"^\S+==\S+.*\\\n    --hash=sha256:", install["pinned"](others, lock()), re.MULTILINE)
    assert len(pins) == len(others)


def lock() -> str:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_an_unknown_service_and_a_package_that_the_lock_lacks_are_named():
    told = subprocess.run([sys.executable, DOCKER / "install.py", "credits", "x"], capture_output=True, text=True)
    assert told.returncode == 1
    assert "SERVICE is one of console, credit" in told.stderr
    with pytest.raises(SystemExit, match=r"lacks nobodys-package"):
        install["pinned"](["nobodys-package"], lock())


def test_secrets_are_made_up_once_for_their_owner_alone_and_what_others_give_is_named(tmp_path):
    compose, file = ROOT / "deploy" / "compose.yaml", tmp_path / ".env"
    file.write_text("MUSTER_SMTP=mail:25", encoding="utf-8")
    empty = env["main"](compose, file)
    assert empty == [
        "MUSTER_CARRIER_HOST",
        "MUSTER_CARRIER_PASSWORD",
        "MUSTER_CARRIER_SYSTEM_ID",
        "MUSTER_REPLY_MAIL_FROM",
        "MUSTER_TENANT_MAIL_FROM",
    ]
    first = file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {line.partition("=")[0] for line in first.splitlines()} == set(env["required"](TEXT))
    assert env["main"](compose, file) == empty
    assert file.read_text(encoding="utf-8") == first
