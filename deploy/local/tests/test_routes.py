import http.client
import http.server
import json
import threading
import time

import pytest

from muster.customer.domain.query import CHARACTERS_MAX
from muster.customer.settings import CustomerSettings
from muster.local import caddy
from muster.local.ports import free_port
from muster.local.probes import http_ok
from muster.local.process import spawn, stop
from muster.local.routes import PAGES, ROUTES, SERVICES, owner

ID = "01931f5e-7b1c-7000-8000-000000000001"
OWNERS = {
    "/.well-known/jwks.json": "tenant",
    "/v1/token": "tenant",
    "/v1/tenants": "tenant",
    f"/v1/tenants/{ID}": "tenant",
    "/v1/tenant": "tenant",
    "/v1/users": "tenant",
    "/v1/api-keys": "tenant",
    f"/v1/api-keys/{ID}": "tenant",
    "/v1/audit": "tenant",
    "/v1/customers": "customer",
    f"/v1/customers/{ID}": "customer",
    f"/v1/customers/{ID}/erasure": "customer",
    f"/v1/erasures/{ID}": "customer",
    "/v1/customers/imports": "customer",
    f"/v1/customers/imports/{ID}/errors": "customer",
    "/v1/own-fields": "customer",
    "/v1/searches": "customer",
    "/v1/lists": "customer",
    "/v1/suppressions": "customer",
    "/v1/frequency-cap": "customer",
    f"/v1/approvals/{ID}": "customer",
    "/v1/approval-rule": "customer",
    "/v1/test-messages": "customer",
    "/v1/test-numbers/own": "customer",
    "/v1/templates": "customer",
    "/v1/quotes": "customer",
    "/v1/bulk-sms": "customer",
    f"/v1/bulk-sms/{ID}": "customer",
    f"/v1/bulk-sms/{ID}/stop": "dispatch",
    f"/v1/bulk-sms/{ID}/pause": "dispatch",
    f"/v1/bulk-sms/{ID}/resume": "dispatch",
    f"/v1/bulk-sms/{ID}/unknown": "dispatch",
    f"/v1/bulk-sms/{ID}/progress": "report",
    "/v1/schedules": "customer",
    "/v1/closed-days": "customer",
    "/v1/messages": "customer",
    f"/v1/messages/{ID}-7": "report",
    "/o/abc": "customer",
    "/v1/credits": "credit",
    "/v1/credits/statement": "credit",
    "/v1/credits/top-ups": "credit",
    "/v1/rates": "credit",
    "/v1/carriers": "dispatch",
    "/v1/routes": "dispatch",
    "/v1/senders": "dispatch",
    "/v1/receipts/acme": "dispatch",
    "/v1/inbound/acme": "dispatch",
    "/v1/replies": "reply",
    "/v1/conversations": "reply",
    "/v1/reports/sms": "report",
    f"/v1/reports/exports/{ID}": "report",
    "/v1/webhooks": "report",
    **{f"/v1/ops/{service}/laws": service for service in SERVICES},
}
NOBODYS = (
    "/v1",
    "/v1/",
    "/v1/tokens",
    "/v1/customersx",
    "/v1/ops",
    "/v1/ops/other/laws",
    "/.well-known/security.txt",
    "/o/",
)
FOR_PEOPLE = ("/", "/sign-in", "/metrics", "/health/ready", "/v2/token", "/v1x", "/customers/7")


@pytest.mark.parametrize(("path", "service"), OWNERS.items())
def test_each_path_has_its_owner(path, service):
    assert owner(path) == service


@pytest.mark.parametrize("path", NOBODYS)
def test_what_is_not_in_the_table_has_no_owner(path):
    assert owner(path) is None


def test_every_route_is_some_tested_path_s_owner():
    assert {route.service for route in ROUTES} == set(SERVICES) == set(OWNERS.values())


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers which service it is, and what it was asked."""

    def do_POST(self) -> None:
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            left -= len(self.rfile.read(min(left, 65_536)))
        told = [self.server.service, self.path]
        body = json.dumps(self.headers.get_all("X-Forwarded-For") if "from" in self.path else told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    folder, servers = tmp_path_factory.mktemp("caddy"), []
    for service in (*SERVICES, PAGES):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
        server.service = service
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
    port = free_port()
    upstreams = {server.service: server.server_address[1] for server in servers}
    process = spawn(caddy.command(folder, port, upstreams), folder / "caddy.log")
    while http_ok(port, "/robots.txt")() is not None:
        time.sleep(0.02)
    yield port
    stop(process, caddy.command(folder, port, upstreams).stop_signal, 5)
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, str | None, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()
    finally:
        connection.close()


def test_caddy_passes_each_path_unchanged_to_the_owner_that_the_table_names(proxy):
    answers = {path: json.loads(ask(proxy, "GET", f"{path}?limit=1")[2]) for path in OWNERS}
    assert answers == {path: [service, f"{path}?limit=1"] for path, service in OWNERS.items()}


@pytest.mark.parametrize("path", NOBODYS)
def test_caddy_answers_an_unknown_path_with_a_problem_document(proxy, path):
    status, media_type, body = ask(proxy, "GET", path)
    assert (status, media_type) == (404, "application/problem+json")
    assert json.loads(body)["status"] == 404


@pytest.mark.parametrize("path", FOR_PEOPLE)
def test_caddy_passes_all_that_is_not_the_api_s_to_the_pages(proxy, path):
    assert json.loads(ask(proxy, "GET", path)[2]) == [PAGES, path]
    assert owner(path) is None


def test_an_owner_is_told_the_one_address_for_which_the_console_calls(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy, timeout=60)
    for given, told in (
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.9, 203.0.113.7", "203.0.113.7"),
        ("", "127.0.0.1"),
    ):
        connection.request("GET", "/v1/users?from", headers={"X-Forwarded-For": given} if given else {})
        assert json.loads(connection.getresponse().read()) == [told]
    connection.close()


def test_a_body_above_one_mebibyte_is_refused_except_for_an_import(proxy):
    body = b"x" * ((1 << 20) + 1)
    status, media_type, problem = ask(proxy, "POST", "/v1/quotes", body)
    assert (status, media_type, json.loads(problem)["code"]) == (413, "application/problem+json", "too_large")
    assert str(1 << 20) in json.loads(problem)["detail"]
    assert ask(proxy, "POST", "/v1/customers/imports", body)[0] == 200
    assert ask(proxy, "POST", "/v1/quotes", body[2:])[0] == 200


def test_a_query_as_long_as_its_owner_reads_comes_to_its_owner_and_a_longer_one_is_refused_in_words(proxy):
    path = "/v1/customers?query="
    assert json.loads(ask(proxy, "GET", path + "%D8%B4" * CHARACTERS_MAX)[2])[0] == "customer"
    for query in ("x" * 64_000, "%20or%20".join(["tag%20is%20a"] * 10_000)):
        status, media_type, body = ask(proxy, "GET", path + query)
        assert (status, media_type) == (414, "application/problem+json")
        assert "64000" in json.loads(body)["detail"]


def test_a_file_is_given_up_by_who_reads_it_and_not_by_the_proxy_before():
    read_ns = caddy.config("127.0.0.1:80", {})["apps"]["http"]["servers"]["muster"]["read_timeout"]
    assert read_ns > CustomerSettings().customer_import_upload_s_max * 1_000_000_000


def test_caddy_has_no_admin_port_and_no_certificates():
    config = caddy.config("127.0.0.1:80", {})
    assert config["admin"]["disabled"] is True
    assert config["apps"]["http"]["servers"]["muster"]["automatic_https"] == {"disable": True}
    assert config["apps"]["http"]["servers"]["muster"]["listen"] == ["127.0.0.1:80"]
