"""Letters to users: invitations, links for a new password, and that a password was changed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.controller import UnthreadedController

from muster.kit import clock
from muster.kit.mail import HeaderRefused, Postman, Postmark
from muster.tenant import mail
from muster.tenant.domain import letters as domain
from muster.tenant.domain.letters import LetterKind, UserLetter
from muster.tenant.settings import TenantSettings

PASSWORD = "seven teal umbrellas"
KIM = "kim@salon.example"
MARK = Postmark("no-reply@muster.example", bytes(32))
SETTINGS = TenantSettings.model_construct(base_url="https://muster.example")


class Box:
    """A mail relay that keeps what it is given."""

    def __init__(self) -> None:
        self.letters: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.letters.append(message_from_bytes(envelope.content, policy=default))
        return "250 taken"


@pytest.fixture
async def box(service: Any) -> AsyncIterator[tuple[Box, Postman[UserLetter]]]:
    """A relay and the postman who brings letters there."""
    kept = Box()
    controller = UnthreadedController(kept, hostname="127.0.0.1", port=0, loop=asyncio.get_running_loop())
    server = await asyncio.get_running_loop().create_server(controller.factory, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = service.settings.model_copy(update={"smtp": f"127.0.0.1:{port}", "base_url": "https://muster.example/"})
    yield kept, mail.postman(service.db, settings)
    server.close()
    await server.wait_closed()


async def new_user(service: Any, business: Any) -> str:
    body = {"email": KIM, "name": "Kim", "role": "staff"}
    made = await service.call(business.token, "POST", "/v1/users", json=body)
    assert made.status_code == 201, made.text
    return made.json()["id"]


def link_in(letter: Any, page: str) -> str:
    text = letter.get_content()
    return next(line.rpartition("/")[2] for line in text.split() if line.startswith(f"https://muster.example/{page}/"))


async def use(service: Any, token: str, password: str = PASSWORD) -> Any:
    return await service.http.post("/v1/links/use", json={"token": token, "password": password})


async def ask(service: Any, *emails: str) -> None:
    for email in emails:
        asked = await service.http.post("/v1/password-resets", json={"email": email})
        assert (asked.status_code, asked.json()) == (202, {"email": email.strip().lower()})
    await mail.answer_asked(service.db, service.settings)


async def test_a_new_user_is_invited_by_e_mail_and_joins_by_its_link(service: Any, business: Any, box: Any) -> None:
    kept, postman = box
    await new_user(service, business)
    assert await postman.send_due() == 1
    (letter,) = kept.letters
    assert (letter["To"], letter["Subject"]) == (KIM, "You are invited to Muster")
    assert (letter["From"], letter["Auto-Submitted"]) == ("Muster <no-reply@muster.example>", "auto-generated")
    assert (await use(service, link_in(letter, "join"))).status_code == 201
    assert await postman.send_due() == 0


async def test_the_token_of_a_letter_is_sealed_until_it_has_left_and_gone_then(
    service: Any, business: Any, box: Any
) -> None:
    kept, postman = box
    await new_user(service, business)

    async def stored() -> str:
        async with service.db.worker() as tx:
            return "".join(str(dict(row)) for row in await tx.fetch("SELECT * FROM letter ORDER BY since"))

    before = await stored()
    await postman.send_due()
    token = link_in(kept.letters[0], "join")
    after = await stored()
    assert token not in before
    assert "'sealed_token': None" in after
    assert "'state': 'sent'" in after


async def test_an_invitation_can_be_sent_again_which_ends_the_first_one(
    service: Any, business: Any, box: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, postman = box
    user_id = await new_user(service, business)
    at_once = await service.call(business.token, "POST", f"/v1/users/{user_id}/invitation")
    assert (at_once.status_code, at_once.headers["retry-after"]) == (429, "60")
    later = clock.now() + timedelta(seconds=61)
    monkeypatch.setattr(clock, "now", lambda: later)
    again = await service.call(business.token, "POST", f"/v1/users/{user_id}/invitation")
    assert (again.status_code, again.json()) == (202, {"email": KIM})
    await postman.send_due()
    first, second = (link_in(letter, "join") for letter in kept.letters)
    assert (await use(service, first)).status_code == 404
    assert (await use(service, second)).status_code == 201
    joined = await service.call(business.token, "POST", f"/v1/users/{user_id}/invitation")
    assert (joined.status_code, joined.json()["code"]) == (409, "has_password")


async def test_who_forgot_the_password_sets_a_new_one_is_told_and_everybody_is_signed_out(
    service: Any, business: Any, box: Any
) -> None:
    kept, postman = box
    await new_user(service, business)
    await postman.send_due()
    session = (await use(service, link_in(kept.letters.pop(), "join"))).json()["session_token"]
    await ask(service, f" {KIM.upper()} ")
    await postman.send_due()
    reset = kept.letters.pop()
    assert reset["Subject"] == "Set a new password for Muster"
    assert (await use(service, link_in(reset, "reset"), "an otter plays the tuba")).status_code == 201
    renewed = await service.http.post("/v1/token", data={"grant_type": "refresh_token", "refresh_token": session})
    assert renewed.status_code == 400
    await postman.send_due()
    assert kept.letters.pop()["Subject"] == "Your password for Muster was changed"
    assert (await service.http.post("/v1/sessions", json={"email": KIM, "password": PASSWORD})).status_code == 401


async def test_an_address_that_is_nobodys_is_answered_alike_and_gets_no_letter(
    service: Any, business: Any, box: Any
) -> None:
    kept, postman = box
    await ask(service, "nobody@salon.example")
    assert await postman.send_due() == 0
    assert kept.letters == []


async def test_asking_again_and_again_sends_one_letter_a_minute_and_five_a_day(
    service: Any, business: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await new_user(service, business)
    await ask(service, KIM, KIM)
    await ask(service, KIM)
    now = clock.now()
    for minute in range(1, 9):
        moment = now + timedelta(minutes=2 * minute)
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        await ask(service, KIM)
        async with service.db.worker() as tx:
            await tx.execute("UPDATE letter SET since = $1 WHERE since > $1", moment - timedelta(seconds=90))
    async with service.db.worker() as tx:
        sent = await tx.fetchval("SELECT count(*) FROM letter WHERE tenant_id = $1 AND kind = 'reset'", business.id)
    assert sent == domain.RESETS_A_DAY_MAX


async def test_who_asks_for_too_many_links_is_told_to_wait_and_nothing_of_passwords(service: Any) -> None:
    here = {"X-Forwarded-For": "203.0.113.9"}
    while (answer := await service.http.post("/v1/password-resets", json={"email": KIM}, headers=here)).is_success:
        pass
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")
    told = f"This was asked for too often from where you are. Try again in {answer.headers['retry-after']} s."
    assert answer.json()["detail"] == told


async def test_of_several_workers_at_once_one_answers_who_asked(service: Any, business: Any) -> None:
    await new_user(service, business)
    for _ in range(6):
        await service.http.post("/v1/password-resets", json={"email": KIM})
    await asyncio.gather(*(mail.answer_asked(service.db, service.settings) for _ in range(4)))
    async with service.db.worker() as tx:
        sent = await tx.fetchval("SELECT count(*) FROM letter WHERE tenant_id = $1 AND kind = 'reset'", business.id)
    assert sent == 1


@pytest.mark.parametrize(
    "recipient", ["", "kim@salon.example\r\nBcc: x@y.example", "=?utf-8?q?a?=@x.example", "no address"]
)
def test_no_header_is_made_of_an_address_that_is_none(recipient: str) -> None:
    with pytest.raises(HeaderRefused):
        mail.compose_letter(hostile(recipient), MARK, SETTINGS)


def test_names_stand_in_the_body_alone() -> None:
    content = mail.compose_letter(hostile(KIM), MARK, SETTINGS).content
    letter = message_from_bytes(content, policy=default)
    assert set(letter) >= {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"}
    assert "Bcc" not in letter
    assert "evil" not in "".join(str(value) for value in letter.values())
    assert "evil" in letter.get_content()


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (LetterKind.INVITATION, {}, "once, within 7 days."),
        (LetterKind.INVITATION, {"tenant_invitation_d": 1}, "once, within 1 day."),
        (LetterKind.RESET, {}, "once, within 1 hour."),
        (LetterKind.RESET, {"tenant_reset_min": 90}, "once, within 90 minutes."),
    ],
)
def test_a_letter_says_how_long_its_link_holds(kind: LetterKind, given: dict[str, int], said: str) -> None:
    one = replace(hostile(KIM), kind=kind)
    content = mail.compose_letter(one, MARK, SETTINGS.model_copy(update=given)).content
    assert said in message_from_bytes(content, policy=default).get_content()


def hostile(recipient: str) -> UserLetter:
    name = "=?utf-8?q?x=0ABcc=3A_evil=40x?=\r\nBcc: evil@x.example"
    return UserLetter(UUID(int=1), UUID(int=2), LetterKind.RESET, recipient, name, name, "token", clock.now(), 1)
