"""/v1/notices: what each marketing message of a business says, where its text does not say the same."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from muster.customer.api.common import problem_of, tenant_of
from muster.customer.domain.locales import language_of, read_language
from muster.customer.domain.merge_text import LANGUAGES_MAX
from muster.customer.domain.notices import Notices, Wordings, judge_notices
from muster.customer.domain.refusal import Refusal
from muster.customer.store import notices as store
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit

router = APIRouter(prefix="/v1/notices")


class WordsIn(Model):
    """identity: before a text that does not name the business; {business} is its name. Behind a text that does not say
    how to opt out: reply, for a sender that is a number; by_link, for one that is a name, where {link} is each
    recipient's own. Null: as it is said by default in that language."""

    identity: str | None = None
    reply: str | None = None
    by_link: str | None = None


_Language = Annotated[str, Field(max_length=35, description="a tag such as de or pt-BR")]


class NoticesIn(WordsIn):
    """The words in the language of the business's country; languages: for texts in others, by tag. A language that is
    not said has words by default."""

    languages: Annotated[dict[_Language, WordsIn], Field(default_factory=dict, max_length=LANGUAGES_MAX - 1)]


class WordsOut(Model):
    """What is said in a language."""

    identity: str
    reply: str
    by_link: str


class NoticesOut(WordsOut):
    """What is said, since when and by whom it was chosen; null where nobody has. languages: what the business has
    chosen in others."""

    languages: Annotated[dict[str, WordsOut], Field(default_factory=dict)]
    changed_at: datetime | None = None
    changed_by: str | None = None


@router.get("")
async def get_notices(
    request: Request, caller: Annotated[Caller, requires(Permission.READ_SETTINGS)], tx: Annotated[Tx, tenant_tx]
) -> NoticesOut:
    """The words of the business."""
    return await _notices(request, tx, caller)


@router.put("", response_model=NoticesOut)
async def set_notices(
    body: NoticesIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.SET_SENDING_RULES)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Say it in other words. Quotes that were given before are sent as they were quoted."""

    async def make() -> tuple[int, Model]:
        tenant = await tenant_of(request, tx, caller.tenant_id)
        own, others = _read(body, language_of(tenant.country))
        if await store.save_notices(tx, caller.tenant_id, own, others, caller.user_id):
            await emit(tx, audit.record(caller, Act.NOTICES_SET, "notices"))
        return 200, await _notices(request, tx, caller)

    return await once.answer(tx, caller, body, make)


def _read(body: NoticesIn, home: str) -> tuple[Notices, dict[str, Notices]]:
    """The words in the business's language, and in others by tag; 422 with each that would not do."""
    usual = Wordings(home)
    own = _words(body, usual.of(home))
    refusals, others = judge_notices(own, home), dict[str, Notices]()
    for written, words in body.languages.items():
        tag, named = read_language(written), f"languages.{written}"
        if tag is None:
            refusals.append(Refusal(named, "no_such_language", "this is the tag of no language, such as de or pt-BR"))
        elif tag in others or tag == home:
            refusals.append(Refusal(named, "repeated_language", f"there are two wordings in {tag}"))
        else:
            others[tag] = _words(words, usual.of(tag))
            wrong = judge_notices(others[tag], tag)
            refusals += [replace(one, field=f"{named}.{one.field}") for one in wrong]
    if refusals:
        raise problem_of(refusals)
    return own, others


def _words(given: WordsIn, usual: Notices) -> Notices:
    said: Mapping[str, str] = given.model_dump(exclude={"languages"}, exclude_none=True)
    return replace(usual, **said)


async def _notices(request: Request, tx: Tx, caller: Caller) -> NoticesOut:
    row = await store.notices_row(tx, caller.tenant_id)
    if row is None:
        tenant = await tenant_of(request, tx, caller.tenant_id)
        return NoticesOut(**asdict(tenant.wordings.of("")))
    languages = {tag: WordsOut(**asdict(words)) for tag, words in store.others_in(row["others"]).items()}
    members = {name: row[name] for name in ("identity", "reply", "by_link", "changed_at", "changed_by")}
    return NoticesOut(**members, languages=languages)
