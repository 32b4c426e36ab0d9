"""The main job in a browser on the running product: what people do with it, and what they see come."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from e2e_world import Business, World, eventually
from playwright.sync_api import Browser, Page, sync_playwright

from muster.console.app import create_app
from muster.console.settings import ConsoleSettings

pytestmark = pytest.mark.e2e


class ByKey(httpx.AsyncBaseTransport):
    """The API as a person meets it who is signed in: every call goes to the running product, with a key's token instead
    of a session's."""

    def __init__(self, world: World, business: Business) -> None:
        self._real = httpx.AsyncHTTPTransport()
        key = world.operator.post("/v1/api-keys", {"tenant_id": business.id, "name": "console", "role": "admin"})
        grant = {"grant_type": "client_credentials"}
        who = {name: key[name] for name in ("client_id", "client_secret")}
        self._token = world.http.post(f"{world.run['url']}/v1/token", data=grant | who).raise_for_status().json()
        user = {"id": "e2e", "email": "e2e@test.example", "name": "Ann", "role": "admin"}
        self._me = {"user": user, "tenant": business.ask.get("/v1/tenant"), "role": "admin", "session_id": None}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the product, but for whose session it is."""
        if request.url.path == "/v1/token":
            return httpx.Response(200, json=self._token)
        if request.url.path == "/v1/me":
            return httpx.Response(200, json=self._me)
        return await self._real.handle_async_request(request)

    async def aclose(self) -> None:
        await self._real.aclose()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def business(world: World) -> Business:
    return world.business(credits=10_000)


@pytest.fixture
def page(world: World, business: Business, chromium: Browser) -> Iterator[Page]:
    """A browser in which somebody of the business is signed in."""
    app = create_app(ConsoleSettings(api_url=world.run["url"]), ByKey(world, business))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    context = chromium.new_context(base_url=url, locale="en-AU")
    context.add_cookies([{"name": "muster_session", "value": "a-session", "url": url}])
    yield context.new_page()
    context.close()
    server.should_exit = True
    thread.join(20)


def focus(page: Page, selector: str) -> None:
    """Go to an element by the Tab key alone."""
    for _ in range(60):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the Tab key does not lead to {selector}")


def write_and_send(page: Page, text: str) -> str:
    """The main job by keyboard alone; the id of the send."""
    page.goto("/compose")
    focus(page, "#text")
    page.keyboard.type(text)
    page.wait_for_selector("#figures .phone")
    focus(page, "button.main[value=check]")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-send]")
    focus(page, "[data-send]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sends/*")
    return page.url.rsplit("/", 1)[1]


def shown(page: Page, name: str) -> int:
    """A figure of the page of a send, by its name."""
    return int(page.inner_text(f"#numbers dt:text-is('{name}') + dd").replace(",", ""))


def test_the_main_job_by_keyboard_and_what_comes_back_live(world: World, business: Business, page: Page) -> None:
    numbers = business.customers(3)
    bulk_id = write_and_send(page, "Hi {first_name}, it’s on")

    eventually(lambda: page.locator("#numbers .counts").count() and shown(page, "Sent") == 3)
    assert world.stats(numbers) == dict.fromkeys(numbers, 1)
    for number, text in ((numbers[0], "See you then"), (numbers[1], "STOP")):
        world.carrier("POST", "/inbound", json={"from": number, "to": business.sender, "text": text})
    page.wait_for_selector("#numbers dt:text-is('Opt-outs')", timeout=60_000)

    eventually(lambda: shown(page, "Replies") == 2)
    assert shown(page, "Opt-outs") == 1
    ended: dict[str, Any] = business.ended(bulk_id)
    assert ended["credits_used"] == ended["credits_quoted"]


def test_a_send_is_stopped_midway_and_what_is_told_is_what_left(world: World, business: Business, page: Page) -> None:
    numbers = business.customers(600)
    world.faults(rate_limit=60)
    bulk_id = write_and_send(page, "It is on")
    eventually(lambda: page.locator("#numbers .counts").count() and shown(page, "Sent") > 0)

    focus(page, "button.stop")
    page.keyboard.press("Enter")

    page.wait_for_selector(".notice.good")
    world.faults(rate_limit=0)
    ended = business.ended(bulk_id)
    left = sum(world.stats(numbers).values())
    assert 0 < left < len(numbers)
    assert ended["counts"]["accepted"] == left
    assert ended["credits_reserved"] == ended["credits_used"] + ended["credits_released"]
    page.goto(f"/sends/{bulk_id}")
    eventually(lambda: shown(page, "Sent") == left)
    assert shown(page, "Stopped") == len(numbers) - left
    assert page.locator("button.stop").count() == 0


def test_two_tabs_and_the_back_button_send_once(world: World, business: Business, page: Page) -> None:
    numbers = business.customers(2)
    page.goto("/compose")
    page.fill("#text", "It is on")
    page.click("button.main[value=check]")
    page.wait_for_selector("[data-send]")
    with page.context.expect_page() as other:
        page.evaluate(
            "id => window.open(`/check/${id}`)", page.locator("form.beside").get_attribute("action").split("/")[2]
        )
    tab = other.value
    tab.wait_for_selector("[data-send]")
    page.click("[data-send]")
    page.wait_for_url("**/sends/*")

    tab.click("[data-send]")
    tab.wait_for_url("**/sends/*")
    assert tab.url == page.url
    page.go_back()
    page.wait_for_url("**/sends/*")
    business.ended(tab.url.rsplit("/", 1)[1])
    assert world.stats(numbers) == dict.fromkeys(numbers, 1)
