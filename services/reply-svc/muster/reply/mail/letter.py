"""An e-mail to a reception. Its headers are ours: none holds a word that a customer wrote, or a tenant."""

import re
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from muster.kit.mail import Letter, Postmark, letter
from muster.reply.domain import Forward, Line, Notice, NoticeKind, Verdict

_NUMBER: Final = re.compile(r"\+?\d{1,20}")
_MARKS: Final = {
    Verdict.ORDINARY: "",
    Verdict.OPT_OUT: " (opt-out)",
    Verdict.OPT_IN: " (opt-in)",
    Verdict.HELP: " (help)",
    Verdict.UNCLEAR: " (please read)",
}
_EXPLAINED: Final = {
    Verdict.ORDINARY: "",
    Verdict.OPT_OUT: "This was read as an opt-out: the number gets no more messages of that kind.",
    Verdict.OPT_IN: "This was read as a wish to get messages again.",
    Verdict.HELP: "This was read as a call for help, which was answered.",
    Verdict.UNCLEAR: "This may be an opt-out: the number is paused until somebody decides.",
}
_DOUBT: Final = "More than one of your messages fits; the newest was taken."
_TOKEN_BYTES: Final = 10
_SUBJECTS: Final = {
    NoticeKind.CREDITS_LOW: "Your SMS credits are low",
    NoticeKind.TOP_UP_FAILED: "An automatic top-up of your SMS credits failed",
    NoticeKind.SEND_PAUSED: "Your SMS send was paused",
    NoticeKind.SCHEDULE_START: "A scheduled SMS was not sent",
    NoticeKind.APPROVAL_ASKED: "An SMS send waits for your approval",
    NoticeKind.APPROVAL_DECIDED: "An SMS send was decided about",
}


def compose(forward: Forward, mark: Postmark) -> Letter:
    """The letter for a reply, the same at each attempt; HeaderRefused where an address is not one."""
    number = forward.number if _NUMBER.fullmatch(forward.number) else "a customer"
    thread = f"<{_digest(b'thread', forward.tenant_id.bytes + forward.number_hash, mark)}@{mark.domain}>"
    answers = reply_address(forward.tenant_id, forward.inbound_id, mark)
    subject = f"SMS reply from {number}{_MARKS[forward.verdict]}"
    more = {"References": thread, "In-Reply-To": thread, "Reply-To": answers}
    return letter(forward, forward.recipient, subject, _body(forward), mark, more)


def compose_notice(notice: Notice, mark: Postmark) -> Letter:
    """The letter about credits or a send, the same at each attempt; HeaderRefused where an address is not one."""
    return letter(notice, notice.recipient, _SUBJECTS[notice.kind], _notice_body(notice), mark)


def reply_address(tenant_id: UUID, inbound_id: UUID, mark: Postmark) -> str:
    """The address at which an answer to this reply is taken: it names the reply and cannot be guessed."""
    return f"reply+{inbound_id.hex}.{_digest(b'reply', tenant_id.bytes + inbound_id.bytes, mark)}@{mark.domain}"


def _digest(purpose: bytes, content: bytes, mark: Postmark) -> str:
    return blake2b(content, digest_size=_TOKEN_BYTES, key=mark.key[:64], person=purpose).hexdigest()


def _body(forward: Forward) -> str:
    zone = _zone(forward.time_zone)
    notes = [_EXPLAINED[forward.verdict], _DOUBT if forward.doubtful else ""]
    lines = [f"{forward.number} wrote on {_time(forward.received_at, zone)}:", "", forward.text, ""]
    lines += [f"[{note}]\n" for note in notes if note]
    if forward.conversation:
        lines += ["----", "Before that, newest first:", ""]
        lines += [_line(line, forward, zone) for line in forward.conversation]
    return "\n".join(lines)


def _notice_body(notice: Notice) -> str:
    who = f"{notice.tenant_name} has" if notice.tenant_name else "You have"
    at = _time(notice.since, _zone(notice.time_zone))
    if notice.kind is NoticeKind.CREDITS_LOW:
        return (
            f"{who} {notice.available} credits left (on {at}), fewer than the {notice.threshold} below which you want "
            "to be told.\n\nYou are told again when they have risen above that and fallen once more.\n"
        )
    if notice.kind is NoticeKind.SEND_PAUSED:
        return (
            f"Your SMS send {notice.reason} was paused on {at}: too many of its last messages were refused by the "
            "carrier or did not arrive.\n\nNothing more leaves until somebody resumes it. It ends at its send_by, and "
            "the credits of what was not sent come back. The SMS Detail Report says which messages failed.\n"
        )
    if notice.kind is NoticeKind.SCHEDULE_START:
        return (
            f"{notice.reason}\n\nNothing of it was sent, and no credits were taken. It is not made up for: the "
            "schedule goes on with its next start, if it has one.\n"
        )
    if notice.kind is NoticeKind.APPROVAL_ASKED:
        return (
            f"{notice.reason}\n\nLook at it, then approve or refuse it, with `muster approvals` or by /v1/approvals "
            "of the API. Whoever asked for it, or made it, cannot approve it. Nothing is sent before.\n"
        )
    if notice.kind is NoticeKind.APPROVAL_DECIDED:
        return f"{notice.reason}\n"
    return (
        f"An automatic top-up of {notice.amount} {notice.currency} (in its smallest unit, such as cents) failed on "
        f"{at}: {notice.reason}\n\nIt is not tried again by itself before your credits have risen and fallen once "
        "more. Top up by hand, or look at your means of payment and your monthly maximum.\n"
    )


def _line(line: Line, forward: Forward, zone: ZoneInfo) -> str:
    who = (forward.tenant_name or "You") if line.outgoing else forward.number
    return f"{_time(line.at, zone)}  {who}:\n{line.text}\n"


def _time(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    offset = local.utcoffset() or timedelta()
    return f"{local:%Y-%m-%d %H:%M} ({'UTC' if not offset else zone.key})"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
