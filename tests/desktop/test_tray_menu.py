import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.progress import progress

from nst_daemon.config.orders import EngineFacts, SeatFacts
from nst_daemon.desktop import panels
from nst_daemon.desktop.icons import Look
from nst_daemon.desktop.menu import (
    MAX_TOOLTIP,
    STOPPERS,
    Act,
    Entry,
    View,
    look_of,
    menu,
    progress_of,
    shortened,
    tooltip,
)
from nst_daemon.desktop.panels import Backend, Desktop, choose, problem_of
from nst_daemon.ledger.jobs import Current, JobState, Problem, Snapshot

PROGRESS = progress(fraction=0.417, eta_seconds=18.0)
CURRENT = Current(job=12, photo="trip/a.jpg", style="starry_night", progress=PROGRESS)
RESTLESS = Problem(code="photo_restless", message="a.jpg does not stand still.", remedy="")


def view(
    *, current: Current | None = None, paused: bool = False, running: bool = True, **counts: int
) -> View:
    return View(
        snapshot=Snapshot(
            running=running,
            pid=1,
            paused=paused,
            version="",
            engine=EngineFacts(),
            counts={state: counts.get(state, 0) for state in JobState},
            current=(current,) if current else (),
        ),
        styles=("mosaic", "starry_night"),
        style="mosaic",
        starts_at_login=False,
    )


def with_problems(shown: View, *codes: str) -> View:
    problems = tuple(Problem(code=code, message=f"{code}.", remedy="") for code in codes)
    return replace(shown, snapshot=replace(shown.snapshot, problems=problems))


def labels(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.label for entry in entries if entry.label]


def acts(entries: tuple[Entry, ...]) -> set[Act]:
    found = {entry.act for entry in entries if entry.act is not None}
    return found.union(*(acts(entry.children) for entry in entries))


# ── the look ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("shown", "look"),
    [
        (view(), Look.IDLE),
        (view(paused=True), Look.PAUSED),
        (view(current=CURRENT), Look.WORKING),
        (view(current=CURRENT, paused=True), Look.WORKING),
        (view(held=1), Look.ATTENTION),
        (view(paused=True, held=1), Look.ATTENTION),
        (replace(view(failed=3), new_failures=1), Look.ATTENTION),
        (view(failed=3), Look.IDLE),
        (with_problems(view(), "photo_restless"), Look.ATTENTION),
        (with_problems(view(), "photo_restless", "disk_full"), Look.CANNOT_WORK),
        (with_problems(view(), "tray_no_menu"), Look.IDLE),
        (view(running=False), Look.CANNOT_WORK),
    ],
)
def test_the_look_says_what_matters_most(shown: View, look: Look) -> None:
    assert look_of(shown) is look


def test_every_stopper_is_explained_in_the_docs() -> None:
    errors = (Path(__file__).parents[2] / "docs" / "errors.md").read_text("utf-8")
    assert [code for code in STOPPERS if f"\n### {code}\n" not in errors] == []


# ── tooltip and menu ────────────────────────────────────────────────────────────────────────────────────


def test_the_tooltip_has_photo_style_percent_time_left_and_queue() -> None:
    shown = view(current=CURRENT, queued=2)
    assert tooltip(shown) == "Painting trip/a.jpg in starry_night, 41 %, 18 s to go · 2 queued"
    assert tooltip(view()) == "Waiting for photos"
    assert tooltip(view(running=False)) == "nst-daemon is not running"


def test_a_long_name_is_cut_in_its_middle_and_a_forged_one_stays_in_its_line() -> None:
    assert shortened("a" * 30 + "é" * 30 + ".jpg", 20) == "a" * 9 + "…" + "éééééé.jpg"
    assert shortened("a\nb\x1b[2J") == "a·b·[2J"
    long = replace(CURRENT, photo="x" * 500, style="y" * 500)
    assert len(tooltip(view(current=long))) <= MAX_TOOLTIP


def test_a_painting_daemon_offers_all_that_can_be_done() -> None:
    shown = replace(
        view(current=CURRENT, queued=2, failed=3),
        results=tuple(Path(f"/out/{number}.png") for number in range(7)),
        new_failures=1,
    )
    warm = replace(shown, snapshot=replace(shown.snapshot, engine=EngineFacts(state="warm")))
    assert acts(menu(warm)) == set(Act) - {Act.RESUME, Act.START}
    assert labels(menu(warm))[:5] == [
        "Painting trip/a.jpg in starry_night, 40 % · 2 queued · 1 failed",
        "Pause",
        "Cancel trip/a.jpg",
        "Retry failed (3)",
        "Show what failed (1 new)",
    ]
    assert [label.strip() for label in labels(menu(warm)) if ".png" in label] == [
        f"{n}.png" for n in range(5)
    ]


def test_the_painting_so_far_is_offered_once_it_is_there() -> None:
    assert "Show what it is painting" not in labels(menu(view(current=CURRENT)))
    shown = replace(view(current=CURRENT), preview=Path("/out/.preview/12.jpg"))
    (entry,) = (entry for entry in menu(shown) if entry.label == "Show what it is painting")
    assert (entry.act, entry.argument) == (Act.OPEN, shown.preview)


def test_a_daemon_that_does_not_run_can_be_started_and_not_paused() -> None:
    assert Act.START in acts(menu(view(running=False)))
    assert Act.PAUSE not in acts(menu(view(running=False)))


def test_the_seats_of_a_farm_are_counted_below_what_is_painted() -> None:
    alone = view(current=CURRENT)
    assert not [label for label in labels(menu(alone)) if "Farm" in label]
    states = {"gpu1/cuda:0": "painting", "gpu1/cuda:1": "warm", "gpu2/cpu": "silent"}
    seats = tuple(SeatFacts(name=name, device="", state=state) for name, state in states.items())
    lent = with_problems(replace(alone, snapshot=replace(alone.snapshot, seats=seats)), "seat_lost")
    first, second, third, *_ = menu(lent)
    assert first.label.startswith("Painting trip/a.jpg")
    assert second == Entry(label="Farm: 3 seats, 1 painting, 1 warm, 1 silent")
    assert third.label == "! seat_lost."


def test_the_default_style_is_marked() -> None:
    (styles,) = (entry.children for entry in menu(view()) if entry.children)
    assert [(entry.label, entry.is_checked) for entry in styles] == [
        ("mosaic", True),
        ("starry_night", False),
    ]


def test_the_menu_stays_as_it_is_while_the_progress_creeps() -> None:
    later = replace(CURRENT, progress=replace(PROGRESS, fraction=0.48, eta_seconds=14.2))
    assert menu(view(current=CURRENT)) == menu(view(current=later))
    assert tooltip(view(current=CURRENT)) != tooltip(view(current=later))


# ── who draws it ────────────────────────────────────────────────────────────────────────────────────────

GNOME = Desktop(has_display=True, has_bus=True, has_gtk=True, has_appindicator=True)


@pytest.mark.parametrize(
    ("desktop", "backend", "code"),
    [
        (replace(GNOME, has_watcher=True), Backend.APPINDICATOR, None),
        (replace(GNOME, has_watcher=True, x11_tray=7), Backend.APPINDICATOR, None),
        (replace(GNOME, x11_tray=7), Backend.GTK, None),
        (replace(GNOME, x11_tray=7, has_bus=False), Backend.XORG, "tray_no_menu"),
        (Desktop(has_display=True, x11_tray=7), Backend.XORG, "tray_no_menu"),
        (Desktop(has_display=True, has_bus=True, has_watcher=True), None, "tray_no_gtk"),
        (GNOME, None, "tray_no_panel"),
        (Desktop(has_display=False), None, "tray_no_display"),
        (Desktop(has_display=False, lack="pystray"), None, "tray_no_display"),
        (replace(GNOME, has_watcher=True, x11_tray=7, lack="pystray"), None, "tray_not_installed"),
    ],
)
def test_each_desktop_gets_the_backend_that_is_seen_or_a_problem_with_its_fix(
    desktop: Desktop, backend: Backend | None, code: str | None
) -> None:
    problem = problem_of(desktop, "linux")
    assert choose(desktop, "linux") is backend
    assert (problem and problem.code) == code
    assert problem is None or problem.remedy


def test_windows_and_macos_draw_by_themselves() -> None:
    nothing = Desktop(has_display=True)
    assert (choose(nothing, "win32"), choose(nothing, "darwin")) == (Backend.WIN32, Backend.DARWIN)


@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
def test_without_the_extra_no_desktop_draws_an_icon_and_the_extra_is_named(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("pystray", "desktop_notifier"):
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("DISPLAY", ":none")
    (problem,) = panels.problems()
    assert "without pystray and desktop-notifier" in problem.message
    assert problem.remedy.startswith("Run: pip install 'nst-daemon[desktop]'")


def test_a_session_without_a_desktop_is_no_problem_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not panels.may_show_tray()
    assert not panels.may_notify()
    assert [problem.code for problem in panels.problems()] == ["tray_no_display"]


def test_several_jobs_share_the_ring_and_the_first_is_named_with_the_number_of_the_others() -> None:
    one = view(current=CURRENT)
    second = replace(CURRENT, job=13, photo="b.jpg", progress=None)
    both = replace(one, snapshot=replace(one.snapshot, current=(CURRENT, second)))
    assert progress_of(both) == pytest.approx(progress_of(one) / 2)
    assert "to go, and 1 more" in tooltip(both)
    assert {"Cancel trip/a.jpg", "Cancel b.jpg"} < set(labels(menu(both)))


def test_an_engine_that_is_missing_stops_nothing_while_another_is_there() -> None:
    shown = with_problems(view(), "engine_missing")
    engines = (EngineFacts(state="missing", device="cuda:0"), EngineFacts(state="warm", device="cuda:1"))
    assert look_of(shown) is Look.CANNOT_WORK
    assert look_of(replace(shown, snapshot=replace(shown.snapshot, engines=engines))) is Look.ATTENTION
    assert look_of(replace(shown, snapshot=replace(shown.snapshot, engines=engines[:1]))) is Look.CANNOT_WORK


def test_the_model_can_be_unloaded_where_one_of_several_engines_idles() -> None:
    shown = view(current=CURRENT)
    engines = (EngineFacts(state="painting"), EngineFacts(state="warm"))
    several = replace(shown, snapshot=replace(shown.snapshot, engine=engines[0], engines=engines))
    assert Act.UNLOAD in acts(menu(several))
