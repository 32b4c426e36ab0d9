"""Who may do what: the one table, which every route names a line of, and which people are shown (`GET /v1/roles`)."""

from enum import Enum, unique
from typing import Final

from muster.kit.tokens import Role

_ADMIN: Final = (Role.ADMIN,)
_SENDERS: Final = (Role.ADMIN, Role.MANAGER)
_BUSINESS: Final = (Role.ADMIN, Role.MANAGER, Role.STAFF)
_OPERATOR: Final = (Role.OPERATOR,)


@unique
class Permission(Enum):
    """What somebody may do, and which roles may. `says` ends the sentence "Who may …"."""

    OWN_ACCOUNT = (
        "see who they are signed in as, change their own name and password, end their own sessions",
        (
            *_BUSINESS,
            Role.OPERATOR,
        ),
    )
    READ_SENDS = "see sends, schedules and reports, and why somebody got a message or did not", _BUSINESS
    SEND = "ask what a send costs, send, schedule and approve, and pause, resume or stop what is sent", _SENDERS
    OVERRIDE_CHECKS = "send although a check of the law blocks, giving a reason", _ADMIN
    WRITE_TEMPLATES = "read and write templates", _BUSINESS
    READ_REPLIES = "read replies and conversations", _BUSINESS
    ANSWER_REPLIES = "decide what an unclear reply means", _BUSINESS
    READ_CUSTOMERS = "see customers, their lists, consents and opt-outs", _BUSINESS
    KEEP_CUSTOMERS = "add, change, import and archive customers, record consents, keep lists and searches", _BUSINESS
    MERGE_CUSTOMERS = "merge and remove customers, define fields of the business's own", _SENDERS
    ERASE_CUSTOMERS = "export all that is held on a person, and erase it", _SENDERS
    KEEP_OPT_OUTS = "record and apply opt-outs, lift one with evidence", _BUSINESS
    SET_OPT_OUTS = "upload and correct opt-outs, dismiss a request for one, say when a number counts as dead", _SENDERS
    READ_SETTINGS = "see the settings of the business", _BUSINESS
    SET_SENDING_RULES = "set the texts of notices, and how often somebody is texted at most", _SENDERS
    CHANGE_SETTINGS = "change the settings of the business, of its credits, of approvals and of test numbers", _ADMIN
    READ_CREDITS = "see credits and their statement", _BUSINESS
    READ_PRICES = "see what messages and credits cost", (*_BUSINESS, Role.OPERATOR)
    READ_SENDERS = "see the senders of the business", (*_BUSINESS, Role.OPERATOR)
    TRANSFER_CREDITS = "move credits from one business to another", (Role.ADMIN, Role.OPERATOR)
    MANAGE_TEAM = "see, invite, change and shut out users", (Role.ADMIN, Role.OPERATOR)
    MANAGE_KEYS = "see, make and revoke API keys", (Role.ADMIN, Role.OPERATOR)
    READ_AUDIT = "see who did what", (Role.ADMIN, Role.OPERATOR)
    RUN_TENANTS = "make, change, limit, suspend and reinstate businesses", _OPERATOR
    SELL_CREDITS = "set prices and rates, and credit, confirm or reverse top-ups", _OPERATOR
    RUN_CARRIERS = "run carriers, routes and senders", _OPERATOR
    RUN_PLATFORM = "see the laws and the consumers, resume these, settle dead letters and stuck sends", _OPERATOR

    def __init__(self, says: str, roles: tuple[Role, ...]) -> None:
        self.says = says
        self.roles = frozenset(roles)

    @property
    def key(self) -> str:
        """Its name in documents and answers, such as `read-sends`."""
        return self.name.lower().replace("_", "-")
