"""The time left and the share of it that is done, of a played painting."""

import pytest
from support.clock import FakeClock

from nst_daemon.config.orders import Progress
from nst_daemon.config.recipe import resolve
from nst_daemon.engine.budget import Budget, Plan
from nst_daemon.engine.clock import Clock
from nst_daemon.engine.costs import Speed, costs_of

GUESS = Speed(convolutions=0.01, roots=0.1, steps=0.01)
TRUTH = Speed(convolutions=0.02, roots=0.6, steps=0.01)
BALANCED = resolve({})
PLAN = Plan.of((512, 384), BALANCED, Budget(BALANCED, None))
COSTS = costs_of(PLAN, BALANCED, [(700, 700)])


def played(now: FakeClock, known: Speed = GUESS) -> list[Progress]:
    """Return what is told of a painting on a machine of a known speed."""
    clock = Clock(PLAN.scales, COSTS, known, now=now)
    told = []
    for scale, cost in zip(PLAN.scales, COSTS, strict=True):
        if scale.number > 1:
            now.advance(TRUTH.seconds(cost.setup))
        clock.start()
        for step in range(5, scale.steps + 5, 5):
            steps = min(5, scale.steps - step + 5)
            seconds = TRUTH.seconds(cost.step * steps)
            now.advance(seconds)
            clock.notice(scale, steps, seconds)
            told.append(clock.progress(scale, min(step, scale.steps), {}))
    return told


def errors(told: list[Progress], moment: float) -> float:
    """Return the relative error of the time left at a share of the whole time."""
    whole = told[-1].seconds
    at = next(each for each in told if each.seconds >= moment * whole)
    return at.eta_seconds / (whole - at.seconds) - 1


@pytest.mark.parametrize(("moment", "most"), [(0.1, 0.2), (0.25, 0.1), (0.5, 0.05)])
def test_the_time_left_is_right_from_the_first_tenth_on(clock: FakeClock, moment: float, most: float) -> None:
    assert abs(errors(played(clock), moment)) < most


def test_a_known_machine_is_right_from_the_first_step(clock: FakeClock) -> None:
    told = played(clock, TRUTH)
    assert all(
        each.eta_seconds == pytest.approx(told[-1].seconds - each.seconds, rel=0.02, abs=0.1) for each in told
    )


def test_what_is_about_to_get_faster_is_told_so_before_and_behind_it(clock: FakeClock) -> None:
    def told(outlook: float) -> tuple[Clock, float]:
        watch = Clock(PLAN.scales, COSTS, TRUTH, now=clock)
        watch.start()
        watch.outlook = outlook
        return watch, watch.progress(PLAN.scales[0], 5, {}).eta_seconds

    (_, plain), (watch, hopeful) = told(1.0), told(0.6)
    assert hopeful == pytest.approx(0.6 * plain)
    watch.forget()
    assert watch.outlook == 1.0
    assert watch.progress(PLAN.scales[0], 5, {}).eta_seconds == pytest.approx(hopeful)


def test_the_fraction_is_the_share_of_the_time_and_ends_at_one(clock: FakeClock) -> None:
    told = played(clock)
    fractions = [each.fraction for each in told]
    assert fractions == sorted(fractions)
    assert (fractions[-1], told[-1].eta_seconds) == (1.0, 0.0)
    assert max(fractions[:-1]) < 1
    middle = next(each for each in told if each.seconds >= told[-1].seconds / 2)
    assert middle.fraction == pytest.approx(0.5, abs=0.05)


def test_neither_step_nor_fraction_goes_back_after_a_rollback(clock: FakeClock) -> None:
    watch, scale = Clock(PLAN.scales, COSTS, GUESS, now=clock), PLAN.scales[0]
    watch.start()
    far = watch.progress(scale, 40, {})
    back = watch.progress(scale, 20, {})
    assert (back.step, back.fraction) == (far.step, far.fraction)
    assert back.eta_seconds > far.eta_seconds  # the steps are taken once more


def test_an_earlier_attempts_seconds_count_as_painted_and_not_as_left(clock: FakeClock) -> None:
    scale = PLAN.scales[-1]
    anew, later = (Clock(PLAN.scales, COSTS, TRUTH, spent=spent, now=clock) for spent in (0.0, 500.0))
    anew.start()
    later.start()
    clock.advance(3.0)
    first, second = (each.progress(scale, 10, {}) for each in (anew, later))
    assert (first.seconds, second.seconds) == (3.0, 503.0)
    assert first.eta_seconds == second.eta_seconds


def test_a_machine_that_slept_in_the_middle_tells_nearly_the_same_time_left(clock: FakeClock) -> None:
    watch, scale, cost = Clock(PLAN.scales, COSTS, TRUTH, now=clock), PLAN.scales[0], COSTS[0]
    watch.start()
    for step in range(10, 110, 10):
        seconds = 3600.0 if step == 50 else TRUTH.seconds(cost.step * 10)
        clock.advance(seconds)
        watch.notice(scale, 10, seconds)
    told = watch.progress(scale, 100, {})
    left = cost.left(100) + sum((each.whole for each in COSTS[2:]), COSTS[1].whole)
    assert told.eta_seconds == pytest.approx(TRUTH.seconds(left), rel=0.25)
