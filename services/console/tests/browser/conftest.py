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


fakes, base, day = load("fakes"), load("conftest"), load("day")


class Site:
    """Where the console is, its API, and what identifies the quote and the send that it knows."""

    def __init__(self) -> None:
        self.api = base.FakeApi()
        # The port is known only once the server listens, and the address of a page must be that of its form.
        self.app = create_app(ConsoleSettings(), httpx.MockTransport(self.api))
        self.url = ""
        self.session = base.SESSION
        self.check, self.send = f"/check/{fakes.QUOTE_ID}", f"/sends/{fakes.SEND_ID}"
        self.imported = f"/customers/import/{fakes.IMPORT_ID}"
        self.conversation = f"/replies/{fakes.REPLY_ID}"

    def reset(self) -> None:
        """An ordinary day."""
        self.api.calls.clear()
        self.api.answers |= day.answers(fakes, datetime.now(UTC).isoformat())
        self.be("admin")

    def be(self, role: str) -> None:
        """Who is signed in."""
        if self.api.role != role:
            self.api.role = role
            self.app.state.house.sessions.forget(self.session)


@pytest.fixture(scope="module")
def running_site():
    site = Site()
    server = uvicorn.Server(uvicorn.Config(site.app, port=0, log_level="warning"))
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
