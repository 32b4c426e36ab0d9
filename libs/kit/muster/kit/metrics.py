"""Every metric of Muster, in one place, each with its meaning. Names end in their unit. Append; never rename.

No label ever holds a number, a text, a tenant or an id.
"""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]

# --- HTTP edge (kit.http) ---
http_requests = Counter(
    "muster_http_requests", "Requests answered, by route template and status.", ["method", "route", "status"]
)
http_seconds = Histogram(
    "muster_http_seconds",
    "Time from the head of a request to the end of its answer.",
    ["route"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30),
)
http_in_flight = Gauge("muster_http_in_flight", "Requests being answered now.")
http_overloaded = Counter("muster_http_overloaded", "Requests refused with 503 because too many were in flight.")

# --- Traces (kit.otlp) ---
spans_exported = Counter("muster_spans_exported", "Spans that the collector of traces took.")
spans_dropped = Counter(
    "muster_spans_dropped",
    "Spans that are lost: the queue was full, or the collector did not take them in time or at all.",
    ["reason"],
)

# --- Tokens (kit.auth) ---
tokens_refused = Counter("muster_tokens_refused", "Tokens answered with 401, by reason.", ["reason"])
jwks_refreshes = Counter("muster_jwks_refreshes", "Requests for the issuer's keys, by outcome.", ["outcome"])

# --- Sign-in (tenant-svc api) ---
sign_ins = Counter(
    "muster_sign_ins",
    "Sessions asked for: opened by password, invitation, reset or first_admin; wrong, or slowed after wrong ones.",
    ["outcome"],
)

# --- Idempotency (kit.idempotency) ---
idempotent_replays = Counter("muster_idempotent_replays", "Writes answered from a stored answer.")
idempotency_conflicts = Counter("muster_idempotency_conflicts", "Keys refused because they came with another body.")
idempotency_forgotten = Counter("muster_idempotency_forgotten", "Stored answers deleted because of their age.")

# --- Single messages (customer-svc api) ---
single_messages = Counter("muster_single_messages", "Single messages and reminders taken.")
single_groups = Counter("muster_single_groups", "Transactions that took them; messages by group say what one costs.")

# --- Process (kit.process) ---
loop_lag_seconds = Gauge("muster_loop_lag_seconds", "How late the event loop's last heartbeat was.")
loop_stalls = Counter("muster_loop_stalls", "Heartbeats that came more than a second late.")
parts_alive = Gauge("muster_parts_alive", "1 while a supervised part of the process runs, 0 when it died.", ["part"])

# --- Laws (kit.laws): must be 0 ---
law_violations = Gauge("muster_law_violations", "Violations of a law at its last check; must be 0.", ["law"])
law_checked = Gauge("muster_law_checked", "What the last check of a law looked at.", ["law"])
settlements_beyond_reservation = Counter(
    "muster_settlements_beyond_reservation",
    "Sends said to have used more than is reserved, which is not charged; must be 0. Alert: `muster laws` names the"
    " send and by how much.",
)
ledger_conservation_credits = Gauge(
    "muster_ledger_conservation_credits", "Credits made out of nothing or lost, over all accounts; must be 0."
)

# --- Transactions (kit.pg) ---
tx_seconds = Histogram(
    "muster_tx_seconds",
    "Time a database connection was held for a transaction, by role.",
    ["role"],
    buckets=(0.002, 0.01, 0.05, 0.25, 1, 5, 15),
)

# --- Outbox and producer (kit.relay, kit.producer) ---
outbox_pending = Gauge("muster_outbox_pending", "Facts stored and not yet published, by lane.", ["lane"])
outbox_oldest_seconds = Gauge("muster_outbox_oldest_seconds", "Age of the oldest unpublished fact, by lane.", ["lane"])
outbox_published = Counter("muster_outbox_published", "Facts acknowledged by Kafka and deleted, by topic.", ["topic"])
outbox_failures = Counter("muster_outbox_failures", "Publications that failed and are tried again, by lane.", ["lane"])
relay_leader = Gauge("muster_relay_leader", "1 while this process is the relay of a lane.", ["lane"])
producer_replaced = Counter("muster_producer_replaced", "Producers thrown away because they were wedged.", ["reason"])

# --- Consumer (kit.consumer) ---
consumer_lag = Gauge("muster_consumer_lag", "Records behind the end of held partitions, by topic.", ["group", "topic"])
consumer_records = Counter("muster_consumer_records", "Records whose offset was committed.", ["group", "topic"])
consumer_batch_seconds = Histogram(
    "muster_consumer_batch_seconds",
    "Time of one attempt to apply a batch of a partition.",
    ["group"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60),
)
consumer_poison = Counter("muster_consumer_poison", "Records parked in the dead-letter topic.", ["group", "topic"])
consumer_retries = Counter("muster_consumer_retries", "Batches tried again, by cause.", ["group", "cause"])
consumer_fenced = Counter("muster_consumer_fenced", "Batches rolled back: another epoch owns the partition.", ["group"])
consumer_assignments = Counter("muster_consumer_assignments", "Partitions taken over after a rebalance.", ["group"])

consumer_halted = Gauge(
    "muster_consumer_halted",
    "Partitions that are read no further until an operator resumes them; must be 0. Alert: `muster ops consumers` says"
    " why and `muster ops resume` goes on.",
    ["group", "topic"],
)
consumer_topics_missing = Gauge(
    "muster_consumer_topics_missing",
    "1 while the broker does not know a topic that is heard; must be 0. Alert: it was deleted, or the broker is new.",
    ["group", "topic"],
)
consumer_duplicates = Counter(
    "muster_consumer_duplicates",
    "Events that came again and changed nothing: held off by the inbox, by the offset that a commit stored whose answer"
    " was lost, or, where a relay repeats itself, by the key or version of what they say.",
    ["group", "cause"],
)
dead_letters_waiting = Gauge(
    "muster_dead_letters_waiting",
    "Dead letters that nobody has replayed or dropped. Alert: `muster ops dead-letters list` shows them.",
    ["group"],
)
dead_letters_oldest_seconds = Gauge(
    "muster_dead_letters_oldest_seconds", "Age of the oldest dead letter that waits for an operator.", ["group"]
)
dead_letters_decided = Counter(
    "muster_dead_letters_decided", "Dead letters by what an operator's act made of them.", ["group", "outcome"]
)

# --- Erased people (kit.erasure, customer-svc handlers.erasing) ---
erasures_oldest_seconds = Gauge(
    "muster_erasures_oldest_seconds",
    "Age of the oldest erasure of a person of which a service still holds something; an hour is promised.",
    ["group"],
)
erasures_failed = Counter(
    "muster_erasures_failed", "Times that taking erased people out of a service failed, and was put off.", ["group"]
)
persons_erased_oldest_seconds = Gauge(
    "muster_persons_erased_oldest_seconds",
    "Age of the oldest erasure of a person that not every service has confirmed; an hour is promised. Alert:"
    " GET /v1/erasures?state=running says which service is missing.",
)

# --- E-mails to receptions (reply-svc) ---
emails = Counter(
    "muster_emails", "Attempts to send an e-mail, by outcome: sent, later or failed for good.", ["outcome"]
)
emails_pending = Gauge("muster_emails_pending", "E-mails that are queued and not sent yet.")

# --- Money (credit-svc) ---
payment_calls = Counter(
    "muster_payment_calls", "Calls of the payment provider: applied, ignored, refused or unsigned.", ["outcome"]
)
charges = Counter("muster_charges", "Attempts at automatic top-ups, by outcome: paid, failed, open.", ["outcome"])

# --- Schedules (customer-svc) ---
schedule_starts = Counter(
    "muster_schedule_starts",
    "Starts of schedules by what became of them; missed and failed ones were not sent though they should have been.",
    ["outcome"],
)
schedule_late_seconds = Histogram(
    "muster_schedule_late_seconds",
    "How long after its time a scheduled send was started.",
    buckets=(1, 2, 5, 15, 60, 300, 1_800, 7_200, 86_400),
)

# --- Second persons (customer-svc) ---
approvals = Counter(
    "muster_approvals",
    "Requests for a second person: asked, approved, refused, withdrawn; needed: sends refused for want of one.",
    ["outcome"],
)

# --- Tests (customer-svc) ---
tests = Counter(
    "muster_tests", "Messages that people of a business wanted to see for themselves: taken, refused.", ["outcome"]
)

# --- Withdrawals (customer-svc) ---
withdrawals_waiting = Gauge(
    "muster_withdrawals_waiting",
    "Withdrawals of consent that somebody must apply: all that wait, those due within a day, those whose day by law has"
    " passed. Alert: `muster suppressions requests` of the business lists them.",
    ["part"],
)

# --- Imports (customer-svc importer) ---
imports = Counter(
    "muster_imports", "Imports of customers that have ended, by how: done, refused, cancelled, failed.", ["outcome"]
)
imports_failed = Counter("muster_imports_failed", "Imports that failed on the way. Alert on the first.")
import_rows = Counter("muster_import_rows", "Rows of imports by what became of them.", ["outcome"])
audience_counts = Counter(
    "muster_audience_counts",
    "Questions about a whole audience: run, known (nothing had changed since they were run in this process), or some "
    "(few had, and they alone were judged again).",
    ["outcome"],
)
audience_counts_bytes = Gauge(
    "muster_audience_counts_bytes", "About what this process keeps of counted audiences, at most 64 MiB of it."
)

send_checks = Counter(
    "muster_send_checks",
    "Confirmed quotes by what the checks by law came to: passed, overridden (by an admin), or blocked.",
    ["outcome"],
)
ways_out = Counter(
    "muster_ways_out", "Links in messages: taken (a number stopped by it), or unknown (not made by us).", ["outcome"]
)

# --- Limits (customer-svc) ---
pumping_refused = Counter(
    "muster_pumping_refused",
    "Refused: single messages of which too many go to a range or prefix of strangers; plan: sends by their numbers.",
    ["reason"],
)
start_refused = Counter("muster_start_refused", "Sends and messages above what a business may send in a day.")

# --- Carriers (dispatch-svc) ---
submits = Counter("muster_submits", "submit_sm written to a carrier.")
resends = Counter("muster_resends", "Unknown parts put down to be sent again, where a tenant asked for at least once.")
receipts = Counter("muster_receipts", "Final receipts: joined to their message, or kept waiting for it.", ["found"])
status_answers = Counter(
    "muster_status_answers",
    "Questions to carriers: of what has no receipt (final, pending or none), and of what is unknown (found or not).",
    ["outcome"],
)
delivers_waiting = Gauge("muster_delivers_waiting", "deliver_sm that came in and are not stored yet.")
delivers_refused = Gauge("muster_delivers_refused", "deliver_sm of this bind refused because too many waited.")
inbound_messages = Counter("muster_inbound_messages", "Whole inbound messages, by whose number it is.", ["owned"])
carrier_http_answers = Counter(
    "muster_carrier_http_answers",
    "Answers of HTTP carriers: took, refused, busy or unsure; lost or timeout where none came.",
    ["outcome"],
)
carrier_calls = Counter(
    "muster_carrier_calls",
    "Calls of HTTP carriers: taken, replayed, malformed, to nobody; not genuine by headers, time or signature.",
    ["outcome"],
)
carrier_bound = Gauge(
    "muster_carrier_bound", "Connections to the carrier that stand; 0 in a sender without an account."
)
carrier_parts_per_second = Gauge(
    "muster_carrier_parts_per_second",
    "Parts a second that are written to the carrier at most; falls when it refuses for the rate; 0: no limit.",
)
sends_waiting = Gauge("muster_sends_waiting", "Sends that wait for something, by what it is.", ["reason"])
sends_waiting_oldest_seconds = Gauge(
    "muster_sends_waiting_oldest_seconds", "For how long the oldest of the sends that wait does so.", ["reason"]
)
finish_promise_error_ratio = Histogram(
    "muster_finish_promise_error_ratio",
    "By how much the finish that was promised of a send was missed, as a share of the time that it took.",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
)
finishes_unpromised = Counter(
    "muster_finishes_unpromised",
    "Bulk sends that took longer than 5 s and were over before anybody could promise when they would be.",
)
suspended = Gauge("muster_suspended", "Suspended tenants; of part platform: 1 while it is stopped.", ["part"])
sends_paused_for_errors = Counter(
    "muster_sends_paused_for_errors", "Sends that paused themselves: too many of their messages were refused or failed."
)
carriers_failing = Gauge("muster_carriers_failing", "Open carrier accounts that get less than all of their share.")
failovers = Counter(
    "muster_failovers", "Carrier accounts that were passed over from then on: down, or errors.", ["reason"]
)
chunks_rerouted = Counter("muster_chunks_rerouted", "Chunks that waited, and were led to another carrier account.")
bulks_parked = Counter("muster_bulks_parked", "Sends parked: two facts contradict each other, a person must look.")

# --- Report (report-svc) ---
report_audited_records = Counter(
    "muster_report_audited_records", "Records that the processor had passed over and the auditor applied.", ["topic"]
)
report_lost_offsets = Counter(
    "muster_report_lost_offsets",
    "Offsets that the log dropped before they were applied: their sends must be said again; must be 0.",
    ["topic"],
)

# --- Console ---
console_api_calls = Counter(
    "muster_console_api_calls", "Calls of the API by pages: answered, refused, failed or unreachable.", ["outcome"]
)
console_api_seconds = Histogram(
    "muster_console_api_seconds",
    "Time that the API took to answer a page.",
    buckets=(0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 10),
)
console_forms_refused = Counter("muster_console_forms_refused", "Forms that were not acted on, by reason.", ["reason"])
