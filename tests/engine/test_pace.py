"""A machine's speed, learned from played steps whose seconds are known."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from nst_daemon.engine.costs import Cost, Speed
from nst_daemon.engine.pace import MOST_LEARNED, Pace

GUESS = Speed(convolutions=0.01, roots=0.1, steps=0.01)
SMALL, MIDDLE, LARGE = Cost(6.0, 0.08, 1.0), Cost(24.0, 0.1, 1.0), Cost(120.0, 0.6, 1.0)


def read(
    pace: Pace,
    truth: Speed,
    cost: Cost,
    readings: int,
    slowness: Callable[[int], float] = lambda _: 1.0,
) -> None:
    """Let a machine paint."""
    for number in range(readings):
        pace.learn(cost, 10, truth.seconds(cost * 10) * slowness(number))


def test_before_the_first_step_the_speed_is_what_was_known() -> None:
    assert Pace(GUESS).now == Pace(GUESS).learned == GUESS


def test_a_machine_of_the_guessed_proportions_is_known_from_its_first_steps() -> None:
    pace = Pace(GUESS)
    read(pace, Speed(0.04, 0.4, 0.04), SMALL, 1)
    assert pace.now.seconds(LARGE) == pytest.approx(Speed(0.04, 0.4, 0.04).seconds(LARGE))


def test_other_proportions_are_learned_from_scales_of_different_cost() -> None:
    truth = Speed(convolutions=0.01, roots=0.4, steps=0.01)
    pace = Pace(GUESS)
    read(pace, truth, SMALL, 5)
    guessed = abs(pace.now.seconds(LARGE) / truth.seconds(LARGE) - 1)
    read(pace, truth, MIDDLE, 10)
    learned = abs(pace.now.seconds(LARGE) / truth.seconds(LARGE) - 1)
    assert learned < guessed
    assert learned < 0.15


def test_a_single_slow_step_does_not_throw_it() -> None:
    pace = Pace(GUESS)
    read(pace, GUESS, SMALL, 20)
    read(pace, GUESS, SMALL, 1, lambda _: 100.0)  # the machine slept
    assert pace.now.seconds(LARGE) == pytest.approx(GUESS.seconds(LARGE), rel=0.2)


def test_the_newest_steps_count_most() -> None:
    pace = Pace(GUESS)
    read(pace, GUESS, MIDDLE, 30)
    read(pace, GUESS, MIDDLE, 20, lambda _: 2.0)  # another program came
    assert 1.6 < pace.now.seconds(LARGE) / GUESS.seconds(LARGE) <= 2.01
    assert 1.2 < pace.learned.seconds(LARGE) / GUESS.seconds(LARGE) < 1.7  # what a day is like, not a moment


def test_a_restless_machine_is_told_by_its_mean() -> None:
    chance = random.Random(0)
    pace = Pace(GUESS)
    read(pace, GUESS, MIDDLE, 60, lambda _: chance.choice((1.0, 1.8)))
    assert pace.now.seconds(LARGE) == pytest.approx(1.4 * GUESS.seconds(LARGE), rel=0.15)


def test_a_moments_painting_changes_little_of_what_hours_told() -> None:
    known = replace(GUESS, learned=10_000.0)
    pace = Pace(known)
    read(pace, GUESS, SMALL, 1, lambda _: 3.0)
    assert pace.learned.seconds(LARGE) == pytest.approx(GUESS.seconds(LARGE), rel=0.05)
    assert pace.learned.learned < MOST_LEARNED + 10


def test_a_long_painting_replaces_what_a_moments_painting_told() -> None:
    pace = Pace(replace(GUESS, learned=1.0))
    read(pace, GUESS, LARGE, 20, lambda _: 3.0)
    assert pace.learned.seconds(LARGE) == pytest.approx(3 * GUESS.seconds(LARGE), rel=0.02)


def test_a_reading_of_nothing_teaches_nothing() -> None:
    pace = Pace(GUESS)
    pace.learn(SMALL, 0, 1.0)
    pace.learn(SMALL, 1, 0.0)
    assert pace.learned == GUESS
