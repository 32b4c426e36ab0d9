"""The main job in a browser on the running product: what people do with it, and what they see come."""

import csv
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_world import Business, World, eventually
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = pytest.mark.e2e


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
    """A browser in which an admin of the business has signed in."""
    context = chromium.new_context(base_url=world.run["url"], locale="en-AU")
    page = context.new_page()
    sign_in(page, *member(business))
    yield page
    context.close()


def member(business: Business) -> tuple[str, str]:
    """Somebody new of the business, who has taken the invitation: e-mail address and password."""
    email, password = f"ann.{business.reception}", secrets.token_urlsafe(12)
    user = business.ask.post("/v1/users", {"email": email, "name": "Ann", "role": "admin"})
    token = business.ask.post(f"/v1/users/{user['id']}/link")["token"]
    business.ask.post("/v1/links/use", {"token": token, "password": password})
    return email, password


def sign_in(page: Page, email: str, password: str) -> None:
    """By the form, and to the home page that follows."""
    page.goto("/")
    page.fill("#email", email)
    page.fill("#password", password)
    page.click("main button.main")
    page.wait_for_url("**/")


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
    inbox = page.context.new_page()
    inbox.goto("/replies")
    for number, text in ((numbers[0], "See you then"), (numbers[1], "STOP")):
        world.carrier("POST", "/inbound", json={"from": number, "to": business.sender, "text": text})
    page.wait_for_selector("#numbers dt:text-is('Opt-outs')", timeout=60_000)
    inbox.wait_for_selector(f".row:has-text('{numbers[0]}') .text:text-is('See you then')")
    inbox.wait_for_selector(f".row:has-text('{numbers[1]}') .state:text-is('Opt-out')")

    eventually(lambda: shown(page, "Replies") == 2)
    assert shown(page, "Opt-outs") == 1
    ended: dict[str, Any] = business.ended(bulk_id)
    assert ended["credits_used"] == ended["credits_quoted"]
    inbox.goto(f"/sends/{bulk_id}/report")
    assert inbox.inner_text(f"tr:has-text('{numbers[0]}') .back").startswith("Reply: See you then")
    with inbox.expect_download() as download:
        inbox.click("#as-csv")
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        rows = {row["number"]: row for row in csv.DictReader(file)}
    assert rows.keys() == set(numbers)
    assert rows[numbers[1]]["replies"] == "STOP"
    assert sum(int(row["credits"]) for row in rows.values()) == ended["credits_used"]


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
    page.fill("#number", numbers[0])
    page.click("section[aria-labelledby=why] button")
    page.wait_for_selector(".answer:has-text('It was sent to them')")
    eventually(lambda: quoted_again(page, bulk_id))
    assert page.inner_text("[data-send]") == f"Send to {len(numbers) - left} people"


def quoted_again(page: Page, bulk_id: str) -> bool:
    """Whether there is a bill for those who did not get a send: for a moment what became of them may be on its way."""
    page.goto(f"/sends/{bulk_id}")
    page.click("#again button")
    return page.url.rsplit("/", 2)[1] == "check"


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
    page.wait_for_selector("[data-live][data-state=closed]")  # until then the page loads itself anew with each state
    page.wait_for_load_state()
    page.go_back()
    page.wait_for_url("**/sends/*")
    business.ended(tab.url.rsplit("/", 1)[1])
    assert world.stats(numbers) == dict.fromkeys(numbers, 1)


def test_a_file_with_errors_is_looked_at_imported_and_what_was_left_out_given_back(
    business: Business, page: Page, tmp_path: Path
) -> None:
    photo, people = tmp_path / "holiday.jpg", tmp_path / "people.csv"
    photo.write_bytes(b"\xff\xd8\xff\xe0" + bytes(2_000))
    rows = ["Ann,Lee,0412 345 671,yes", "Bo,,hello,yes", "Chi,Ng,0412 345 673,yes", "Di,Roe,(03) 9,yes"]
    people.write_text("\n".join(["First name,Last name,Handy,Allow Bulk SMS", *rows]) + "\n")

    page.goto("/customers/import")
    page.set_input_files("#file", photo)
    page.click("main button.main")
    page.wait_for_selector("#file-error, .notice[role=alert]")
    page.goto("/customers/import")
    page.set_input_files("#file", people)
    page.click("main button.main")
    handy = page.locator("tr:has-text('Handy') select")
    handy.wait_for()
    assert not business.ask.get("/v1/customers")["items"], "nobody is changed before it is started"
    handy.select_option("mobile")
    page.click("button[value=try]")
    page.wait_for_selector("#columns ~ * li:has-text('Row 2'), li:has-text('Row 2')")
    page.check("[name=consent][value=express]")
    page.fill("#consent_wording", "Yes, text me about offers")
    page.fill("#consent_source", "the form at the counter")
    page.fill("#consent_date", "2026-05-01")
    page.click("button[value=start]")

    page.wait_for_selector("a[href$='left-out.csv']")
    assert sorted(one["first_name"] for one in business.ask.get("/v1/customers")["items"]) == ["Ann", "Chi"]
    with page.expect_download() as download:
        page.click("a[href$='left-out.csv']")
    left_out = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert "hello" in left_out
    assert "(03) 9" in left_out
    assert "0412 345 671" not in left_out


def test_on_a_phone_without_scripts_a_session_that_has_ended_loses_nothing_and_the_message_leaves_once(
    world: World, business: Business, chromium: Browser
) -> None:
    numbers = business.customers(2)
    email, password = member(business)
    phone = {"width": 375, "height": 800}
    context = chromium.new_context(base_url=world.run["url"], viewport=phone, java_script_enabled=False, locale="en-AU")
    page = context.new_page()
    sign_in(page, email, password)
    page.goto("/compose")
    page.fill("#text", "It is on")
    context.clear_cookies()
    page.click("button.main[value=check]")
    page.fill("#email", email)
    page.fill("#password", password)
    page.click("main button.main")
    page.click("main button.main")  # goes on with what was being done
    page.click("[data-send]")
    page.wait_for_url("**/sends/*")
    bulk_id = page.url.rsplit("/", 1)[1]
    page.go_back()
    business.ended(bulk_id)
    context.close()
    assert world.stats(numbers) == dict.fromkeys(numbers, 1)
