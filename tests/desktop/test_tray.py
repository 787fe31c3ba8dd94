# ruff: noqa: F811  fixtures are imported by name
import importlib
import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PIL import Image
from support.desktops import (
    Panel,
    WaitFor,
    begin_work,
    display,  # noqa: F401
    keeper,  # noqa: F401
    ledger,  # noqa: F401
    loaded,  # noqa: F401
    panel,  # noqa: F401
    x_server,  # noqa: F401
)
from support.progress import progress

from nst_daemon.config import Config
from nst_daemon.desktop import tray, xorg
from nst_daemon.desktop.icons import Look, draw, flattened
from nst_daemon.desktop.menu import Entry, View
from nst_daemon.desktop.model import TrayModel
from nst_daemon.desktop.panels import Backend
from nst_daemon.desktop.process import DesktopKeeper
from nst_daemon.desktop.tray import X11_GROUND
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Problem
from nst_daemon.system.pauses import Pauses

RESTLESS = Problem(code="photo_restless", message="a.jpg does not stand still.", remedy="Wait.")
NO_ENGINE = Problem(code="engine_missing", message="No weights.", remedy="Install them.")


def drawn(look: Look, room: tuple[int, int], fraction: float = 0.0) -> Image.Image:
    return flattened(draw(look, min(room), fraction), X11_GROUND, room).convert("RGB")


def shows(panel: Panel, look: Look, fraction: float = 0.0) -> Callable[[], bool]:
    def shown() -> bool:
        icon = panel.icon()
        return (
            icon is not None
            and min(icon.size) > 8
            and icon.tobytes() == drawn(look, icon.size, fraction).tobytes()
        )

    return shown


# ── a real icon in a real panel ─────────────────────────────────────────────────────────────────────────


def test_the_panel_shows_each_state_by_its_own_drawing(
    panel: Panel, keeper: DesktopKeeper, ledger: Ledger, tmp_path: Path, wait_for: WaitFor
) -> None:
    keeper.tend()
    wait_for(shows(panel, Look.IDLE), what="a palette")
    ledger.requests.pause()
    wait_for(shows(panel, Look.PAUSED), what="two bars")
    ledger.problems.set("intake", [RESTLESS])
    wait_for(shows(panel, Look.ATTENTION), what="a triangle")
    ledger.problems.set("intake", [NO_ENGINE])
    wait_for(shows(panel, Look.CANNOT_WORK), what="an octagon")
    ledger.requests.resume()
    begin_work(ledger, tmp_path, 0.41)
    wait_for(shows(panel, Look.WORKING, 0.41), what="an arc")


def test_the_icon_comes_back_when_the_panel_does_and_when_its_process_was_killed(
    panel: Panel, keeper: DesktopKeeper, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper._keeper, "_pauses", Pauses(0.0, 0.0))

    def is_shown() -> bool:
        keeper.tend()
        return shows(panel, Look.IDLE)()

    wait_for(is_shown)
    panel.stop()
    panel.start(height=34)
    wait_for(is_shown, what="the icon in the new panel")
    first = keeper.pid
    assert first is not None
    psutil.Process(first).kill()
    wait_for(lambda: is_shown() and keeper.pid != first, what="another process")


class Blinker(TrayModel):
    """A model whose icon changes with each of so many looks, and then stays paused until it is to end."""

    def __init__(self, ledger: Ledger, looks: int) -> None:
        idle = View(snapshot=ledger.snapshot(running=True))
        ledger.requests.pause()
        paused = View(snapshot=ledger.snapshot(running=True))
        self.views = itertools.chain([idle, paused] * (looks // 2), itertools.repeat(paused))
        self.looks = looks
        self.seen = 0
        self.is_over = False

    def tick(self) -> View:
        self.seen += 1
        return next(self.views)

    def act(self, entry: Entry) -> None:
        raise AssertionError(f"nobody clicked {entry}")


def test_one_thread_alone_uses_the_connection_of_the_icon(
    panel: Panel, ledger: Ledger, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    xlib = importlib.import_module("Xlib.protocol.display")
    monkeypatch.setattr(tray, "TICK_SECONDS", 0.05)
    users: dict[object, set[int]] = {}
    ask = xlib.Display.send_and_recv

    def noted(display: object, *args: object, **named: object) -> None:
        users.setdefault(display, set()).add(threading.get_ident())
        ask(display, *args, **named)

    monkeypatch.setattr(xlib.Display, "send_and_recv", noted)
    model = Blinker(ledger, looks=40)
    icon = tray.Tray(model, Backend.XORG, should_end=lambda: model.is_over, on_hang=list)
    runner = threading.Thread(target=icon.run)
    runner.start()
    wait_for(lambda: model.seen > model.looks and shows(panel, Look.PAUSED)(), what="two bars")
    model.is_over = True
    runner.join(20)
    assert not runner.is_alive()
    assert model.seen > model.looks
    assert users[icon._icon._display.display] == {runner.ident}


def test_a_loop_that_hangs_ends_the_process_instead_of_standing_still(
    panel: Panel, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xorg, "HANG_SECONDS", 0.2)
    monkeypatch.setattr(tray, "LEAVE_SECONDS", 0.2)
    hung, go_on = threading.Event(), threading.Event()
    icon = tray.Tray(Blinker(ledger, 9), Backend.XORG, should_end=lambda: False, on_hang=hung.set)
    monkeypatch.setattr(icon, "_show", lambda _: go_on.wait(20))

    def run() -> None:
        with pytest.raises(tray.TrayBrokeError):
            icon.run()

    runner = threading.Thread(target=run)
    runner.start()
    try:
        assert hung.wait(20)
    finally:
        go_on.set()
        caller = icon._caller
        assert caller is not None
        close = caller.close
        monkeypatch.setattr(caller, "close", lambda: None)  # we are in the middle of a message to it
        caller.stop()
        runner.join(20)
        close()
    assert not runner.is_alive()


def test_a_desktop_without_a_panel_is_a_problem_with_its_fix_until_there_is_one(
    display: str, keeper: DesktopKeeper, ledger: Ledger, wait_for: WaitFor
) -> None:
    def codes() -> list[str]:
        return [problem.code for problem in ledger.snapshot(running=True).problems]

    keeper.tend()
    wait_for(lambda: codes() == ["tray_no_panel"])
    panel = Panel(display, wait_for)
    try:
        panel.start()
        wait_for(lambda: codes() == ["tray_no_menu"], what="the panel to be found")
    finally:
        panel.stop()


def test_the_process_ends_with_a_parent_that_was_killed(
    panel: Panel, loaded: Config, wait_for: WaitFor, tmp_path: Path
) -> None:
    code = (
        "import sys, time\n"
        "from nst_daemon import config\n"
        "from nst_daemon.desktop import process as desktop\n"
        "if __name__ == '__main__':\n"
        "    keeper = desktop.DesktopKeeper(config.load(sys.argv[1]))\n"
        "    keeper.tend()\n"
        "    print(keeper.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(loaded.source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        wait_for(lambda: panel.icon() is not None)
        parent.kill()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_the_tray_takes_next_to_no_time_while_a_picture_is_painted(
    panel: Panel, keeper: DesktopKeeper, ledger: Ledger, tmp_path: Path, wait_for: WaitFor
) -> None:
    job = begin_work(ledger, tmp_path, 0.0)
    keeper.tend()
    wait_for(shows(panel, Look.WORKING), what="an arc")
    child = psutil.Process(keeper.pid)
    steps = iter(range(1, 5))
    begun = child.cpu_times()

    def painted() -> bool:
        step = next(steps)
        ledger.attempts.report_progress(job, progress(fraction=step / 4))
        wait_for(shows(panel, Look.WORKING, step / 4))
        return step == 4

    wait_for(painted)
    used = child.cpu_times()
    # A picture of 100 s has 24 redraws and 100 looks: 1 % would be a second for all of them.
    assert used.user + used.system - begun.user - begun.system < 0.25
