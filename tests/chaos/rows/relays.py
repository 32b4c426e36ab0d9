"""Relays that die or sleep between a fact's commit, its publication and its deletion from the outbox."""

import time

from chaos.events import ends, repeated_with_the_same_id_only
from chaos.nemesis import Chaos, must
from chaos.registry import row
from chaos.storm import Storm

RELAYS = ("customer.worker.0", "credit.worker.0", "dispatch.worker.0")
ZOMBIE_S = 60.0


@row("3", "kill -9 of a relay between acknowledgement and deletion", fires=len(RELAYS), short=True)
def dies_before_it_deletes(chaos: Chaos) -> None:
    """What it had published is published again, with the same event ids, and does nothing a second time."""
    start = ends(chaos)
    with Storm(chaos, tenants=2) as storm:
        chaos.arm(**{name: f"relay.after_ack:exit@{chaos.random.randrange(3, 8)}" for name in RELAYS})
        for name in RELAYS:
            chaos.until_fired(name)

    def check() -> None:
        storm.balances()
        repeated = repeated_with_the_same_id_only(chaos, start)
        must(repeated >= len(RELAYS), f"each relay published something twice: {repeated}")

    chaos.check_when_quiet(check)


@row("4", "a zombie relay: stopped with a batch in hand, its connection ended, continued a minute later", fires=2)
def comes_back_as_a_zombie(chaos: Chaos) -> None:
    """Another took over; what the zombie publishes then is old, and nobody acts on it twice."""
    zombie = "credit.worker.0"
    start = ends(chaos)
    with Storm(chaos, tenants=2, pause_s=0.5) as storm:
        chaos.arm(**{zombie: "relay.before_send:stop@5"})
        pid = chaos.until_stopped(zombie)
        chaos.terminate_backends("credit")
        stopped_at = time.monotonic()
        other = chaos.run(chaos.stack.add("credit", "worker", 1))
        done = storm.done["send"]
        # The time is the fault: long enough for every session, lease and lock of the zombie to be over.
        time.sleep(max(0.0, ZOMBIE_S - (time.monotonic() - stopped_at)))
        must(storm.done["send"] > done, "another relay says what there is to say meanwhile")
        chaos.thaw(pid)
    chaos.run(chaos.stack.supervisor.end(other))

    def check() -> None:
        storm.balances()
        must(repeated_with_the_same_id_only(chaos, start) > 0, "the zombie published what had been published")

    chaos.check_when_quiet(check)
