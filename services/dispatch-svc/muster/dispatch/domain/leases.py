"""When an attempt may be leased, and when its sender may write more of it: what the SQL of store/queue.py decides.

The statements decide where the rows are, under their locks; these are the same rules as values. A test holds the two
together on every combination, and the explorer of states goes by these.
"""

from muster.dispatch.domain.bulk import Bulk


def may_claim(bulk: Bulk, *, queued: bool, due: bool, over: bool, quiet: bool = False) -> bool:
    """Whether a sender may lease an attempt: it waits, it is due, its time is not over, its recipients may be texted at
    this hour, and its send goes on."""
    return queued and due and not over and not quiet and bulk.claimable


def may_intend(
    bulk: Bulk, *, leased: bool, same_epoch: bool, over: bool, same_counter: bool, quiet: bool = False
) -> bool:
    """Whether a sender may commit an intent: the lease is its own, its time is not over, its recipients may be texted
    at this hour, the send goes on, and nothing has changed since it looked for suppressions and holds."""
    return leased and same_epoch and not over and same_counter and not quiet and bulk.claimable
