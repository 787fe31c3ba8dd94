"""Pauses between tries."""

from nst_daemon.system.pauses import Pauses


def test_each_pause_is_twice_as_long_up_to_a_limit_and_success_begins_anew() -> None:
    pauses = Pauses(0.5, 3.0)
    assert [pauses.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    pauses.reset()
    assert pauses.next() == 0.5
