"""How many run, and what `helm test` asks of them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import pytest
import yaml
from helm.chart import CHART, ROOT, SETS, pods, rendered
from helm.snapshot import FOLDER, summary
from helm.test_chart import PROCESSES

from muster.local.routes import PAGES, SERVICES, owner


def of_kind(name: str, kind: str) -> dict[str, Any]:
    return {one["metadata"]["name"]: one["spec"] for one in rendered(name) if one["kind"] == kind}


def test_what_is_scaled_by_load_names_no_number_of_its_own_and_never_less_than_replicas() -> None:
    scalers = of_kind("external", "HorizontalPodAutoscaler")
    assert set(scalers) == {"gateway", *(name for name in PROCESSES if name.endswith("-api"))}
    deployments = of_kind("external", "Deployment")
    for name, scaler in scalers.items():
        assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 6)
    assert {name for name, spec in deployments.items() if "replicas" not in spec} == set(scalers)
    assert set(of_kind("external", "PodDisruptionBudget")) == set(deployments), "two of each, at the least"


def test_the_chart_knows_how_many_partitions_a_topic_has() -> None:
    registry = yaml.safe_load((ROOT / "proto" / "topics.yaml").read_text(encoding="utf-8"))
    text = (CHART / "charts" / "service" / "templates" / "processes.yaml").read_text(encoding="utf-8")
    assert f"(gt (int $how.replicas) {registry['partitions']['cluster']})" in text


def test_helm_test_asks_every_service_one_question() -> None:
    [container] = pods(rendered("small"))["smoke"]["spec"]["containers"]
    paths = [word.partition("=")[0] for word in container["args"][2:]]
    assert {owner(path) or PAGES for path in paths} == {*SERVICES, PAGES}
    assert container["args"][0] == (CHART / "files" / "smoke.py").read_text(encoding="utf-8").rstrip("\n") + "\n"


@pytest.fixture
def answers() -> Iterator[str]:
    """A server that answers 401 below /v1 and 200 elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401 if self.path.startswith("/v1/") else 200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def smoke() -> Any:
    spec = spec_from_file_location("smoke", CHART / "files" / "smoke.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.PATIENCE_S = 0
    return module


def test_helm_test_passes_where_each_answers_as_it_should(answers: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke().main(answers, "/sign-in=200", "/v1/x=401") == 0
    assert capsys.readouterr().out == "ok    GET /sign-in: 200, 200 expected\nok    GET /v1/x: 401, 401 expected\n"


def test_helm_test_fails_where_somebody_is_let_in_or_nobody_answers(
    answers: str, unused_tcp_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke().main(answers, "/v2/x=401") == 1
    assert capsys.readouterr().out == "WRONG GET /v2/x: 200, 401 expected\n"
    assert smoke().main(f"http://127.0.0.1:{unused_tcp_port}", "/sign-in=200") == 1
    assert "Connection refused" in capsys.readouterr().out


@pytest.mark.parametrize("name", SETS)
def test_what_a_set_of_values_makes_is_as_its_snapshot_says(name: str) -> None:
    kept = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert summary(rendered(name)) == kept, "if that is meant: PYTHONPATH=tests python tests/helm/snapshot.py"
