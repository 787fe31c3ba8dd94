"""What is remembered of a device, whatever became of the file."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.faults import Faults, under

from nst_daemon.engine.costs import Speed
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.speeds import FILE, MOST_DEVICES, Known, asked_of, known_of, last_known, remember

KNOWN = Known(
    asked="auto, precision auto, graphs auto",
    device="cpu",
    memory=8 * 10**9,
    entry=2,
    speed=Speed(convolutions=0.01, roots=0.1, steps=0.01, learned=40.0),
)


def test_what_was_learned_is_there_for_the_next_engine(tmp_path: Path) -> None:
    remember(tmp_path, "here", KNOWN)
    assert known_of(tmp_path, "here") == KNOWN
    assert known_of(tmp_path, "there") is None


def test_a_config_finds_the_device_that_painted_last_for_it(tmp_path: Path) -> None:
    other, newer = replace(KNOWN, asked="cpu, …"), replace(KNOWN, device="cuda:0 (NVIDIA H200)")
    for key, known in (("a", KNOWN), ("b", newer), ("c", other), ("a", KNOWN)):
        remember(tmp_path, key, known)
    asked = asked_of(EngineSettings(cache_dir=tmp_path))
    assert asked == KNOWN.asked
    assert last_known(tmp_path, asked) == KNOWN
    assert last_known(tmp_path, "xpu, …") is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"version": 1}',
        '{"version": 1, "devices": []}',
        '{"version": 1, "devices": {"here": 1}}',
        '{"version": 1, "devices": {"here": {"speed": {}}}}',
        '{"version": 1, "devices": {"here": {"speed": {"convolutions": "fast", "roots": 1, "steps": 1}}}}',
    ],
)
def test_a_broken_file_is_as_none_and_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert known_of(tmp_path, "here") is None
    remember(tmp_path, "here", KNOWN)
    assert known_of(tmp_path, "here") == KNOWN


@pytest.mark.parametrize("number", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_that_none_can_be_is_not_believed(tmp_path: Path, number: float) -> None:
    remember(tmp_path, "here", replace(KNOWN, speed=replace(KNOWN.speed, roots=number)))
    assert known_of(tmp_path, "here") is None


def test_a_file_of_another_version_is_not_misread(tmp_path: Path) -> None:
    remember(tmp_path, "here", KNOWN)
    kept = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps(kept | {"version": 2}))
    assert known_of(tmp_path, "here") is None


@pytest.mark.parametrize("call", ["mkdir", "open", "write", "replace", "fsync"])
def test_where_nothing_can_be_written_the_painting_goes_on(tmp_path: Path, faults: Faults, call: str) -> None:
    folder = tmp_path / "weights"
    faults.fail_for_ever(call, number=errno.EROFS, at=under(tmp_path))
    remember(folder, "here", KNOWN)
    faults.heal()
    assert call in faults.failed
    assert known_of(folder, "here") is None


def test_the_devices_of_old_are_forgotten(tmp_path: Path) -> None:
    for number in range(MOST_DEVICES + 3):
        remember(tmp_path, str(number), KNOWN)
    assert known_of(tmp_path, "2") is None
    assert known_of(tmp_path, "3") == KNOWN
