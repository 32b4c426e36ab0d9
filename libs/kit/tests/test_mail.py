"""When a letter that was not taken is tried again."""

from datetime import timedelta

from muster.kit.mail import Mailed, pause_s


def test_a_letter_that_is_put_off_is_tried_for_three_days_with_growing_pauses() -> None:
    young, old = timedelta(hours=71), timedelta(hours=72)

    assert [pause_s(attempts, young, Mailed.LATER) for attempts in (1, 2, 3, 12, 5_000)] == [5, 10, 20, 3_600, 3_600]
    assert pause_s(12, old, Mailed.LATER) is None
    assert pause_s(1, young, Mailed.REFUSED) is None


def test_a_relay_that_is_away_is_looked_for_each_minute() -> None:
    assert [pause_s(attempts, timedelta(), Mailed.NO_RELAY) for attempts in (1, 4, 5, 5_000)] == [5, 40, 60, 60]
