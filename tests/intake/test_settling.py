import math
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.clock import FakeClock

from nst_daemon.disk import Stamp, stamp_of
from nst_daemon.intake.settling import Settler

QUIET = 2.0
MAX_WAIT = 20.0


def test_a_file_settles_once_it_stood_still(tmp_path: Path, clock: FakeClock) -> None:
    settler = Settler(quiet=2.0, clock=clock)
    photo = tmp_path / "cat.jpg"
    photo.write_bytes(b"jpeg")
    settler.notice(photo)
    clock.advance(2.0)
    assert list(settler.settled()) == [photo]
    assert list(settler.settled()) == []


def test_a_file_that_grows_settles_after_its_last_byte(tmp_path: Path, clock: FakeClock) -> None:
    settler = Settler(quiet=2.0, clock=clock)
    photo = tmp_path / "cat.jpg"
    photo.write_bytes(b"j")
    settler.notice(photo)
    for _ in range(5):
        clock.advance(1.9)
        with photo.open("ab") as file:
            file.write(b"j")
        assert list(settler.settled()) == []
    clock.advance(1.9)
    assert list(settler.settled()) == []
    clock.advance(0.1)
    assert list(settler.settled()) == [photo]


def test_a_file_that_is_replaced_by_another_of_its_size_and_time_has_changed(clock: FakeClock) -> None:
    stamps = {Path("a"): Stamp(7, 1, 1)}
    settler = Settler(quiet=2.0, clock=clock, stat=stamps.get)
    settler.notice(Path("a"))
    clock.advance(1.5)
    stamps[Path("a")] = Stamp(7, 1, 2)
    assert list(settler.settled()) == []
    clock.advance(1.5)
    assert list(settler.settled()) == []


def test_it_tells_when_the_next_file_will_have_settled(clock: FakeClock) -> None:
    settler = Settler(quiet=2.0, clock=clock, stat=lambda path: Stamp(7, 1, 1))
    assert settler.next_due() == math.inf
    settler.notice(Path("a"))
    first = settler.next_due()
    clock.advance(0.5)
    settler.notice(Path("b"))
    assert settler.next_due() == first
    clock.advance(first - clock())
    assert list(settler.settled()) == [Path("a")]
    assert settler.next_due() == first + 0.5


def test_a_reported_write_begins_the_window_anew_and_a_second_look_does_not(clock: FakeClock) -> None:
    settler = Settler(quiet=2.0, clock=clock, stat=lambda path: Stamp(7, 1, 1))
    settler.notice(Path("a"))
    settler.notice(Path("b"))
    clock.advance(1.0)
    settler.notice(Path("a"), was_touched=True)
    settler.notice(Path("b"))
    clock.advance(1.0)
    assert list(settler.settled()) == [Path("b")]
    clock.advance(1.0)
    assert list(settler.settled()) == [Path("a")]


def test_a_file_that_has_gone_is_forgotten(tmp_path: Path, clock: FakeClock) -> None:
    settler = Settler(quiet=2.0, clock=clock)
    photo = tmp_path / "cat.jpg"
    settler.notice(photo)
    assert len(settler) == 0
    photo.write_bytes(b"jpeg")
    settler.notice(photo)
    assert photo in settler
    photo.unlink()
    clock.advance(5)
    assert list(settler.settled()) == []
    assert photo not in settler


def test_a_file_may_be_forgotten_by_request(clock: FakeClock) -> None:
    settler = Settler(quiet=0.0, clock=clock, stat=lambda path: Stamp(1, 1, 1))
    settler.notice(Path("a"))
    settler.forget(Path("a"))
    settler.forget(Path("never noticed"))
    assert list(settler.settled()) == []


def test_names_that_no_file_can_have_are_no_error() -> None:
    assert stamp_of(Path("x" * 5000)) is None
    assert stamp_of(Path("nul\0")) is None


class Oracle(RuleBasedStateMachine):
    """Writers, deleters and observers in any order; settled is exactly what stood still for the window."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(0.0)
        self.stamps: dict[Path, Stamp] = {}
        self.settler = Settler(QUIET, self.clock, max_wait=MAX_WAIT, stat=self.stamps.get)
        # What the settler could see: the stamp at its last look, since when, and since when it is watched.
        self.known: dict[Path, tuple[Stamp, float, float]] = {}
        self.version = 0

    paths = st.sampled_from([Path("a"), Path("b"), Path("c")])

    @rule(path=paths)
    def write(self, path: Path) -> None:
        self.version += 1
        self.stamps[path] = Stamp(self.version, self.version, 1)

    @rule(path=paths)
    def delete(self, path: Path) -> None:
        self.stamps.pop(path, None)

    @rule(path=paths, was_touched=st.booleans())
    def notice(self, path: Path, was_touched: bool) -> None:
        self.settler.notice(path, was_touched=was_touched)
        now = self.clock()
        if path in self.known:
            stamp, since, noticed = self.known[path]
            self.known[path] = (stamp, now if was_touched else since, noticed)
        elif path in self.stamps:
            self.known[path] = (self.stamps[path], now, now)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 3.0, 21.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def look(self) -> None:
        now = self.clock()
        expected = set()
        for path, (stamp, since, noticed) in list(self.known.items()):
            current = self.stamps.get(path)
            if current is None:
                del self.known[path]
            elif current != stamp:
                self.known[path] = (current, now, noticed)
            elif now - since >= QUIET:
                expected.add(path)
                del self.known[path]
        assert set(self.settler.settled()) == expected

    @invariant()
    def the_same_files_are_watched_and_the_same_ones_are_restless(self) -> None:
        assert len(self.settler) == len(self.known)
        restless = {p for p, (_, _, noticed) in self.known.items() if self.clock() - noticed >= MAX_WAIT}
        assert set(self.settler.restless()) == restless


Oracle.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, database=None)
TestSettlerAgainstAnOracle = Oracle.TestCase


def test_a_file_that_is_said_to_be_whole_settles_at_once_unless_it_changes(
    tmp_path: Path, clock: FakeClock
) -> None:
    settler = Settler(quiet=2.0, clock=clock)
    photo = tmp_path / "cat.jpg"
    photo.write_bytes(b"jpeg")
    settler.notice(photo)
    settler.trust(photo)
    photo.write_bytes(b"jpeg and more")
    assert list(settler.settled()) == []
    settler.trust(photo)
    assert list(settler.settled()) == [photo]
    settler.trust(photo)  # of which nobody knows: nothing happens
    assert list(settler.settled()) == []
