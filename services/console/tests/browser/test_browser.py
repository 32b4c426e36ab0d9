"""The pages in a real browser: by keyboard, at each width, for everyone."""

import json
import os
import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

WIDTHS = (320, 375, 768, 1440)
NAMES = (
    *("sign-in", "home", "compose", "check", "send", "sends", "report", "approvals", "nothing"),
    *(
        "customers",
        "customers/7",
        "customers/7/edit",
        "customers/new",
        "customers/import",
        "import",
        "customers/opt-outs",
    ),
    *(
        "replies",
        "conversation",
        "credits",
        "settings",
        "settings/me",
        "settings/fields",
        "settings/team",
        "settings/keys",
    ),
    *("settings/audit", "settings/roles", "operator/carriers", "operator/laws", "operator/dead-letters"),
    *("operator/tenants", "operator/tenants/t1"),
)
PICTURED = ("home", "compose", "check", "report", "customers", "conversation", "credits")
AXE = Axe()
TEXT = "Hi {first_name}, it’s the last day of our sale"
whole = pytest.mark.skipif(os.environ.get("BROWSER") != "whole", reason="`make browser` does all of it")
LAYOUT = Path(__file__).with_name("layout.js").read_text("utf-8")
_CUT = """[...document.querySelectorAll('main :is(a, button, input, select, h1, td, th)')].filter(one => {
  const box = one.getBoundingClientRect();
  return box.width && (box.right > innerWidth + 1 || box.left < -1) && !one.closest('.default, thead');
}).map(one => one.outerHTML)"""

# Where the menu and the page lead to: of customers the one who is known here, and no files.
_LINKS = """[...document.querySelectorAll('a[href^="/"]')]
  .map(one => new URL(one.href).pathname.replace(/^[/]customers[/][0-9]+/, '/customers/7'))
  .filter(one => !/[.](csv|json|txt)$/.test(one))"""


def path_of(site, name: str) -> str:
    paths = {"home": "/", "check": site.check, "send": site.send, "report": f"{site.send}/report"}
    paths |= {"conversation": site.conversation, "nothing": "/no-such-page", "import": site.imported}
    return paths.get(name, f"/{name}")


def show(page, site, name: str) -> None:
    site.be("operator" if name.startswith("operator/") else "admin")
    assert page.goto(path_of(site, name)).status == (404 if name == "nothing" else 200)
    if name == "compose":
        page.fill("#text", TEXT)
        page.wait_for_selector("#figures .phone")
    if name == "operator/laws":
        page.wait_for_selector("#between table")


def fits(page, name: str, width: int) -> None:
    """Nothing scrolls sideways, nothing that is for use is cut off, and nothing lies over anything else."""
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways at {width}"
    assert page.evaluate(_CUT) == [], f"{name} is cut off at {width}"
    assert page.evaluate(LAYOUT) == {"over": [], "cut": []}, f"{name} at {width}"


def violations(page) -> list[dict]:
    """What axe-core finds wrong."""
    return AXE.run(page, options={"resultTypes": ["violations"]}).response["violations"]


def test_every_page_suits_everyone_on_a_narrow_phone_and_fits_a_wide_screen(site, open_page):
    pages = {True: open_page(320), False: open_page(320, signed_in=False)}
    found = {}
    for name in NAMES:
        page = pages[name != "sign-in"]
        show(page, site, name)
        fits(page, name, 1440)
        fits(page, name, 320)
        found |= {f"{name}: {one['id']}": one["nodes"] for one in violations(page)}
    assert found == {}


@pytest.mark.parametrize(
    ("style", "found"),
    [
        ("main { position: relative } main p { position: absolute; top: 0; left: 0 }", "over"),
        (".business { position: relative; left: 9rem }", "over"),
        ("h1 { margin-bottom: -1.5rem }", "over"),
        ("main p { width: 3rem; overflow: hidden; white-space: nowrap }", "cut"),
    ],
)
def test_a_page_made_wrong_on_purpose_is_found_to_overlap_or_to_be_cut_off(site, open_page, style, found):
    page = open_page(375)
    show(page, site, "nothing")
    assert page.evaluate(LAYOUT) == {"over": [], "cut": []}
    page.evaluate(
        "one => { const sheet = new CSSStyleSheet(); sheet.replaceSync(one); document.adoptedStyleSheets = [sheet] }",
        style,
    )
    assert page.evaluate(LAYOUT)[found]


@whole
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_suits_everyone_at_each_width(site, open_page, name, scheme):
    page = open_page(1440, scheme, signed_in=name != "sign-in")
    refused = []
    page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
    show(page, site, name)
    for width in WIDTHS:
        fits(page, name, width)
    for width in (375, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == []
    assert refused == []


@whole
@pytest.mark.parametrize("role", ["admin", "manager", "staff", "operator"])
def test_each_role_finds_no_dead_end_and_nothing_that_does_not_fit_on_a_phone_and_a_desk(site, open_page, role):
    page = open_page()
    site.be(role)
    waiting, seen, found = ["/"], set(), {}
    while waiting:
        path = waiting.pop()
        seen.add(path)
        if (status := page.goto(path).status) != 200:
            found[path] = f"answers {status}"
            continue
        for width in (1440, 375):
            fits(page, path, width)
        found |= {f"{path}: {one['id']}": one["nodes"] for one in violations(page)}
        waiting += set(page.evaluate(_LINKS)) - seen - set(waiting)
    assert found == {}
    assert len(seen) > 5


def test_the_main_job_by_keyboard_alone(site, open_page):
    page = open_page()
    page.goto("/compose")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skips to the content
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "text":
            break
    page.keyboard.type("It is on")
    page.wait_for_selector("#figures .phone")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "check":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-send]")
    for _ in range(40):
        if page.evaluate("'send' in document.activeElement.dataset"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{site.send}")
    (sent,) = site.api.asked("POST /v1/bulk-sms")
    assert sent.headers["Idempotency-Key"]
    assert page.evaluate("Object.keys(localStorage)") == []


@whole
def test_dear_characters_are_replaced_by_one_click(site, open_page):
    page = open_page()
    show(page, site, "compose")
    page.click("[data-plain]")
    assert page.input_value("#text") == TEXT.replace("’", "'")


@whole
def test_a_draft_survives_a_closed_page_and_is_gone_after_signing_out(site, open_page):
    page = open_page()
    show(page, site, "compose")
    page.check("input[name=whom][value=list]")
    page.goto("/")
    page.goto("/compose")
    assert page.input_value("#text") == TEXT
    assert page.is_checked("input[name=whom][value=list]")
    page.click("[data-sign-out] button")
    page.wait_for_url("**/sign-in")
    assert page.evaluate("localStorage.length") == 0


def test_a_session_that_ends_while_composing_loses_nothing(site, open_page):
    page = open_page()
    show(page, site, "compose")
    page.context.clear_cookies()
    page.fill("#text", TEXT + "!")
    page.click("#figures a[href*='/sign-in']")
    page.fill("#email", "ann@demo.example")
    page.fill("#password", "correct horse battery")
    page.click("main button.main")
    page.wait_for_url("**/compose")
    assert page.input_value("#text") == TEXT + "!"


@whole
def test_who_hears_the_page_is_told_the_figures_once_they_stand_still(site, open_page):
    page = open_page()
    show(page, site, "compose")
    page.wait_for_selector("#told:has-text('412 recipients 824 credits')", state="attached")
    # Who sees the page sees nothing of it: no corner of it stands beside what it is said for.
    box = page.locator("#told").bounding_box()
    assert max(box["width"], box["height"]) <= 1


@whole
def test_a_session_that_ends_while_watching_a_send_leads_to_signing_in(site, open_page):
    page = open_page()
    page.goto(site.send)
    page.context.clear_cookies()
    page.wait_for_url("**/sign-in?next=/sends/*")


@whole
def test_after_an_act_neither_a_reload_nor_the_way_back_asks_to_send_a_form_again(site, open_page):
    site.api.answers[f"POST /v1/bulk-sms/{site.send[7:]}/pause"] = (200, {"id": site.send[7:]})
    page = open_page()
    page.goto(site.send)
    page.click("button:text-is('Pause')")
    page.wait_for_selector("text=Paused. Nothing leaves until you resume it.")
    assert page.url.endswith(site.send)
    page.reload()
    assert page.locator("text=Paused. Nothing leaves until you resume it.").count() == 0
    page.goto("/")
    page.go_back()
    assert page.url.endswith(site.send)
    assert len(site.api.asked(f"POST /v1/bulk-sms/{site.send[7:]}/pause")) == 1


@whole
def test_who_goes_back_from_a_send_that_changes_at_that_moment_gets_back(site, open_page):
    page = open_page()
    page.goto("/compose")
    # It hears of the change while the page that was asked for is on its way.
    page.add_init_script(
        """window.EventSource = class { addEventListener(name, told) { this[name] = told } close() {}
        constructor() { addEventListener("beforeunload", () => setTimeout(() => this.state(closed), 50)) } }
        const closed = {data: '{"state": "closed"}'}"""
    )
    page.goto(site.send)
    page.route("**/compose", lambda route: (time.sleep(0.3), route.continue_()))
    page.evaluate("history.back()")
    page.wait_for_selector("#text, [data-live][data-state=closed]")
    page.wait_for_timeout(300)
    assert page.url.endswith("/compose")


@whole
def test_a_report_changes_under_the_eyes_of_who_reads_it(site, open_page):
    page = open_page()
    show(page, site, "report")
    page.fill("#text", "sal")
    page.click("#report summary >> nth=0")
    path = f"/v1/bulk-sms/{site.send.rsplit('/', 1)[1]}/progress"
    status, progress = site.api.answers[f"GET {path}"]
    site.api.answers[f"GET {path}"] = (status, {**progress, "delivered": 149, "accepted": 0})
    page.wait_for_selector("#to-delivered + b:text-is('149')")
    assert page.locator("#sums, #report").count() == 2
    assert page.locator("#report details[open]").count() == 1
    assert page.input_value("#text") == "sal"


def test_the_main_job_without_scripts(site, open_page):
    path = f"GET /v1/quotes/{site.check[7:]}"
    site.api.answers[path] = (200, {**site.api.answers[path][1], "text": f"{TEXT} Reply STOP to opt out"})
    page = open_page(375, scripts=False)
    page.goto("/compose")
    page.fill("#text", TEXT)
    page.click("main button.main")
    assert "412" in page.inner_text("aside")
    page.click("button[value=edit]")
    assert page.input_value("#text") == TEXT
    page.click("main button.main")
    page.click("[data-send]")
    page.wait_for_url(f"**{site.send}")
    assert page.locator("button.stop").is_visible()


def test_a_double_click_sends_once(site, open_page):
    page = open_page()
    page.goto(site.check)
    page.dblclick("[data-send]")
    page.wait_for_url(f"**{site.send}")
    assert len({one.headers["Idempotency-Key"] for one in site.api.asked("POST /v1/bulk-sms")}) == 1
    assert {json.loads(one.content)["quote_id"] for one in site.api.asked("POST /v1/bulk-sms")} == {site.check[7:]}


@pytest.mark.skipif("SCREENSHOTS" not in os.environ, reason="`make screenshots` makes them")
@pytest.mark.parametrize("width", WIDTHS[1:])
def test_a_picture_of_each_page(site, open_page, width):
    folder = Path(os.environ["SCREENSHOTS"])
    folder.mkdir(exist_ok=True)
    for name, scheme in [*((one, "light") for one in PICTURED), ("send", "dark")]:
        page = open_page(width, scheme)
        show(page, site, name)
        pictures = (page.screenshot(type="jpeg", quality=quality) for quality in (60, 50, 40, 30))
        picture = next(one for one in pictures if len(one) < 60_000)
        (folder / f"{name}-{width}.jpg").write_bytes(picture)
