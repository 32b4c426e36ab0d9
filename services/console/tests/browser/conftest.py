"""A browser and the console, with an API that says what a test says: no stack is needed to see pages."""

import importlib.util
import os
import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from muster.console.app import create_app
from muster.console.settings import ConsoleSettings

HERE = Path(__file__).parent


def load(name: str) -> ModuleType:
    """A file of the tests beside us."""
    spec = importlib.util.spec_from_file_location(f"console_{name}", HERE.with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fakes, base = load("fakes"), load("conftest")
SEND = f"/v1/bulk-sms/{fakes.SEND_ID}"
WARNING = {
    "check": "registration",
    "country": "AU",
    "status": "warning",
    "absolute": False,
    "message": "The sender is not registered: phones show it as Unverified.",
    "source": "ACMA, SMS Sender ID Register",
    "found": [],
}


WAITING = {
    "id": "a1",
    "text": fakes.TEXT,
    "credits": 900,
    "recipients": 450,
    "note": "For the weekend",
    "asked_by": "u2",
    "made_by": "u2",
    "schedule_id": None,
    "expires_at": "2099-11-28T00:00:00Z",
}


class Site:
    """Where the console is, its API, and what identifies the quote and the send that it knows."""

    def __init__(self) -> None:
        self.api = base.FakeApi()
        self.url = ""
        self.session = base.SESSION
        self.check, self.send = f"/check/{fakes.QUOTE_ID}", f"/sends/{fakes.SEND_ID}"

    def reset(self) -> None:
        """An ordinary day."""
        now = datetime.now(UTC).isoformat()
        plain = {**fakes.send(), "created_at": now}
        self.api.calls.clear()
        self.api.answers |= {
            "POST /v1/quotes": (201, fakes.quote()),
            f"GET /v1/quotes/{fakes.QUOTE_ID}": (200, fakes.quote(checks=[WARNING])),
            "POST /v1/bulk-sms": (202, plain),
            "GET /v1/bulk-sms": (200, {"items": [plain, {**plain, "state": "closed"}], "next_cursor": None}),
            f"GET {SEND}": (200, plain),
            f"GET {SEND}/progress": (200, fakes.progress()),
            "GET /v1/test-numbers": (200, {"numbers": []}),
            "GET /v1/approvals": (200, {"items": [WAITING]}),
            "GET /v1/approvals/a1": (200, WAITING),
            "GET /v1/lists": (200, {"items": [{"name": "Regulars"}, {"name": "Staff"}]}),
            "GET /v1/own-fields": (200, {"items": [{"key": "last_visit", "name": "Last visit"}]}),
            "GET /v1/credits": (200, {"available": 18_240, "reserved": 824, "owed": 0}),
            "GET /v1/credits/settings": (200, {"alert_below": 20_000}),
            "GET /v1/replies": (200, {"items": [fakes.reply(at=now)]}),
            "GET /v1/suppressions/requests": (200, {"items": [{"days_left": 1}]}),
        }


@pytest.fixture(scope="module")
def running_site():
    site = Site()
    # The port is known only once the server listens, and the address of a page must be that of its form.
    app = create_app(ConsoleSettings(), httpx.MockTransport(site.api))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    site.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield site
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def site(running_site):
    running_site.reset()
    return running_site


@pytest.fixture(scope="module")
def chromium():
    # Not for longer than one file: playwright keeps a loop running, beside which no asynchronous test can run.
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def open_page(site, chromium: Browser):
    """Open a browser of some width; `signed_in` says whether somebody is."""
    contexts = []

    def opened(width: int = 1440, scheme: str = "light", *, signed_in: bool = True, scripts: bool = True) -> Page:
        context = chromium.new_context(
            base_url=site.url,
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
            locale="en-AU",
        )
        context.set_default_timeout(15_000)
        if signed_in:
            context.add_cookies([{"name": "muster_session", "value": site.session, "url": site.url}])
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()
