"""What the audit log can say: the one list of acts, each with its name, what it was done to, and a sentence."""

from enum import StrEnum, unique
from typing import Final, Self


@unique
class Act(StrEnum):
    """Something that a person or a key did: what it was done to, the verb, and the sentence that people read.

    The value, `customer.added`, is the name in events, answers and filters; it never changes. What `subject_id` is
    the id of is said by `kind`.
    """

    kind: str
    says: str

    def __new__(cls, kind: str, verb: str, says: str) -> Self:
        act = str.__new__(cls, f"{kind}.{verb}")
        act._value_, act.kind, act.says = f"{kind}.{verb}", kind, says
        return act

    BULK_REQUESTED = "bulk-sms", "requested", "Sent to many customers"
    BULK_CONFIRMED = "bulk-sms", "confirmed", "Agreed to what a send costs now"
    BULK_PAUSED = "bulk-sms", "paused", "Paused a send"
    BULK_RESUMED = "bulk-sms", "resumed", "Resumed a send"
    BULK_STOPPED = "bulk-sms", "stopped", "Stopped a send"
    CHECKS_OVERRIDDEN = "bulk-sms", "checks-overridden", "Sent although a check of the law blocked"
    MESSAGE_REQUESTED = "bulk-sms", "message-requested", "Sent a single message"
    TEST_REQUESTED = "bulk-sms", "test-requested", "Sent a test message"
    UNKNOWN_CHARGED = "bulk-sms", "unknown-charged", "Paid for messages whose outcome is unknown"
    UNKNOWN_RELEASED = "bulk-sms", "unknown-released", "Took back the credits of messages whose outcome is unknown"
    BULK_UNPARKED = "bulk-sms", "unparked", "Let a send go on whose facts contradicted each other"
    BULK_ENDED = "bulk-sms", "ended", "Ended a send for the platform"
    CHUNKS_GIVEN_UP = "bulk-sms", "chunks-given-up", "Gave up the missing part of a send"
    TOTALS_SAID = "bulk-sms", "totals-said", "Told the ledger again what a send came to"
    MESSAGE_STOPPED = "message", "stopped", "Stopped a single message"

    APPROVAL_ASKED = "approval", "asked", "Asked for an approval"
    APPROVAL_APPROVED = "approval", "approved", "Approved what somebody asked for"
    APPROVAL_REFUSED = "approval", "refused", "Refused what somebody asked for"
    APPROVAL_WITHDRAWN = "approval", "withdrawn", "Withdrew a request for an approval"

    SCHEDULE_ADDED = "schedule", "added", "Added a schedule"
    SCHEDULE_CHANGED = "schedule", "changed", "Changed a schedule"
    SCHEDULE_PAUSED = "schedule", "paused", "Paused a schedule"
    SCHEDULE_RESUMED = "schedule", "resumed", "Resumed a schedule"
    SCHEDULE_ARCHIVED = "schedule", "archived", "Archived a schedule"
    SCHEDULE_START_SKIPPED = "schedule", "start-skipped", "Skipped the next start of a schedule"

    TEMPLATE_SAVED = "template", "saved", "Saved a template"
    TEMPLATE_ARCHIVED = "template", "archived", "Archived a template"
    REPLY_DECIDED = "reply", "decided", "Decided what a reply means"

    CUSTOMER_ADDED = "customer", "added", "Added a customer"
    CUSTOMER_CHANGED = "customer", "changed", "Changed a customer"
    CUSTOMER_ARCHIVED = "customer", "archived", "Archived a customer"
    CUSTOMER_UNARCHIVED = "customer", "unarchived", "Took a customer back from the archive"
    CUSTOMER_MERGED = "customer", "merged", "Merged another customer into this one"
    CUSTOMER_MERGED_AWAY = "customer", "merged-away", "Merged this customer into another one"
    CUSTOMER_REMOVED = "customer", "removed", "Removed a customer"
    CUSTOMER_EXPORTED = "customer", "exported", "Exported all that is held on a person"
    CUSTOMER_ERASED = "customer", "erased", "Erased a person"
    CONSENT_RECORDED = "customer", "consent-recorded", "Recorded what a customer agreed to"
    CONSENT_EXPORTED = "customer", "consent-exported", "Exported the evidence of a consent"
    NUMBER_ERASED = "erasure", "asked", "Erased a number"

    IMPORT_UPLOADED = "import", "uploaded", "Uploaded a file of customers"
    IMPORT_STARTED = "import", "started", "Started an import"
    IMPORT_CANCELLED = "import", "cancelled", "Cancelled an import"
    LIST_UPLOADED = "import", "list-uploaded", "Uploaded a file of a list"
    LIST_MADE = "list", "made", "Made a list"
    LIST_RENAMED = "list", "renamed", "Renamed a list"
    LIST_MEMBERS_ADDED = "list", "members-added", "Put customers on a list"
    LIST_MEMBERS_REMOVED = "list", "members-removed", "Took customers off a list"
    LIST_REMOVED = "list", "removed", "Removed a list"
    SEARCH_SAVED = "search", "saved", "Saved a search"
    SEARCH_FORGOTTEN = "search", "forgotten", "Removed a saved search"
    OWN_FIELD_DEFINED = "own-field", "defined", "Defined a field of the business's own"
    OWN_FIELD_FORGOTTEN = "own-field", "forgotten", "Removed a field of the business's own"

    SUPPRESSION_ADDED = "suppression", "added", "Recorded an opt-out"
    SUPPRESSIONS_UPLOADED = "suppression", "uploaded", "Uploaded a file of opt-outs"
    SUPPRESSION_LIFTED = "suppression", "lifted", "Lifted an opt-out"
    SUPPRESSION_CORRECTED = "suppression", "corrected", "Corrected an opt-out recorded by mistake"
    FAILURES_FORGOTTEN = "suppression", "failures-forgotten", "Let a number count as alive again"
    WITHDRAWAL_RECORDED = "withdrawal", "recorded", "Recorded a request to opt out"
    WITHDRAWAL_APPLIED = "withdrawal", "applied", "Applied a request to opt out"
    WITHDRAWAL_DISMISSED = "withdrawal", "dismissed", "Dismissed a request to opt out"

    APPROVAL_RULE_SET = "rule", "approval-set", "Set from how much on a second person approves"
    FREQUENCY_CAP_SET = "rule", "frequency-cap-set", "Set how often somebody is texted at most"
    FREQUENCY_CAP_REMOVED = "rule", "frequency-cap-removed", "Removed the limit of how often somebody is texted"
    NOTICES_SET = "rule", "notices-set", "Set the texts of notices"
    UNDELIVERABLE_RULE_SET = "rule", "undeliverable-set", "Set when a number counts as dead"
    TEST_NUMBER_SET = "test-number", "set", "Set a test number"
    TEST_NUMBER_REMOVED = "test-number", "removed", "Removed a test number"

    WALLET_CHANGED = "wallet", "changed", "Changed the settings of the credits"
    CREDITS_TRANSFERRED = "transfer", "made", "Moved credits to another business"
    TOP_UP_GRANTED = "top-up", "granted", "Topped up credits"
    TOP_UP_ASKED = "top-up", "asked", "Asked for a top-up, which somebody else must confirm"
    TOP_UP_CONFIRMED = "top-up", "confirmed", "Confirmed a top-up"
    TOP_UP_REJECTED = "top-up", "rejected", "Rejected a top-up"
    TOP_UP_REVERSED = "top-up", "reversed", "Reversed a top-up"
    PRICE_SET = "price", "set", "Set what credits cost"
    RATE_SET = "rate", "set", "Set what messages to a country cost"

    TENANT_CREATED = "tenant", "created", "Opened a business"
    TENANT_CHANGED = "tenant", "changed", "Changed the settings of the business"
    TENANT_LIMITED = "tenant", "limited", "Set what the business may send"
    TENANT_SUSPENDED = "tenant", "suspended", "Suspended the business"
    TENANT_REINSTATED = "tenant", "reinstated", "Reinstated the business"
    FIRST_ADMIN_INVITED = "tenant", "first-admin-invited", "Made the link for the first admin"
    USER_CREATED = "user", "created", "Added a user"
    USER_CHANGED = "user", "changed", "Changed a user"
    USER_INVITED = "user", "invited", "Invited a user"
    USER_JOINED = "user", "joined", "Took an invitation"
    PASSWORD_CHANGED = "user", "password-changed", "Changed the own password"
    PASSWORD_RESET = "user", "password-reset", "Set a new password by a link"
    PASSWORD_RESET_ASKED = "user", "password-reset-asked", "Somebody asked for a link to a new password"
    SESSION_OPENED = "session", "opened", "Signed in"
    SESSION_ENDED = "session", "ended", "Signed out, or ended a session"
    API_KEY_CREATED = "api-key", "created", "Made an API key"
    API_KEY_REVOKED = "api-key", "revoked", "Revoked an API key"

    CARRIER_CREATED = "carrier", "created", "Added a carrier"
    CARRIER_CHANGED = "carrier", "changed", "Changed a carrier"
    CARRIER_OPENED = "carrier", "opened", "Opened a carrier"
    CARRIER_DRAINED = "carrier", "drained", "Let a carrier run empty"
    CARRIER_CLOSED = "carrier", "closed", "Closed a carrier"
    CARRIER_TESTED = "carrier", "tested", "Tried a carrier by a message"
    ROUTE_CREATED = "route", "created", "Added a route"
    ROUTE_CHANGED = "route", "changed", "Changed a route"
    ROUTE_DELETED = "route", "deleted", "Removed a route"
    SENDER_GIVEN = "sender", "given", "Gave a sender to a business"
    SENDER_RELEASED = "sender", "released", "Took a sender from a business"
    SENDER_UNREGISTERED = "sender", "unregistered", "Marked a sender as not registered"
    SENDER_PENDING = "sender", "pending", "Marked a sender as waiting for its registration"
    SENDER_REGISTERED = "sender", "registered", "Marked a sender as registered"
    SENDER_REJECTED = "sender", "rejected", "Marked a sender as rejected by the register"
    PLATFORM_STOPPED = "platform", "stopped", "Stopped all sends of the platform"
    PLATFORM_STARTED = "platform", "started", "Let the sends of the platform go on"
    LETTER_REPLAYED = "dead-letter", "replayed", "Applied a dead letter again"
    LETTER_STILL_POISON = "dead-letter", "still-poison", "Tried a dead letter again, which still cannot be applied"
    LETTER_DROPPED = "dead-letter", "dropped", "Dropped a dead letter"
    CONSUMER_RESUMED = "consumer", "resumed", "Let a halted consumer go on"
    LOSS_ACCEPTED = "consumer", "loss-accepted", "Let a consumer go on without what is lost"


_SAYS: Final = {act.value: act.says for act in Act}


def says(name: str) -> str:
    """The sentence of an act by its name; the name itself where another version of Muster gave it."""
    return _SAYS.get(name, name)
