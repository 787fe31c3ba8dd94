"""More happens in an inbox than the kernel reports: nothing is lost, and it shows."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.daemons import Home, ended
from support.waiting import WAIT_SECONDS

from nst_daemon.folders.inbox import LATE_SECONDS
from nst_daemon.ledger.jobs import JobState

FLOOD = 10_000  # files of two events each; the kernel's queue holds 16,384 where nobody has changed it
LIMIT = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.mark.skipif(sys.platform != "linux", reason="SIGSTOP and inotify are Linux's")
def test_ten_thousand_files_while_the_daemon_is_stopped_lose_no_photo_and_show(
    tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    assert int(LIMIT.read_text()) < 2 * FLOOD, "the queue is too long to overflow: raise FLOOD"
    home = Home(tmp_path)
    process = home.start()
    pid = process.pid or 0
    try:
        home.drop("first.jpg")
        wait_for(lambda: done(home) == {"first.jpg"}, seconds=WAIT_SECONDS, what="the first photo")
        os.kill(pid, signal.SIGSTOP)
        for number in range(FLOOD):  # what an export leaves beside its photos
            (home.path / "inbox" / f"{number}.txt").touch()
        photos = {f"late-{number}.jpg" for number in range(30)}  # nobody is told of these
        for name in photos:
            home.drop(name, name.encode())
        last = max((home.path / "inbox" / name).stat().st_ctime for name in photos)
        wait_for(lambda: time.time() > last + LATE_SECONDS, what="the time of an event")
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: photos < done(home), seconds=3 * WAIT_SECONDS, what="the other photos")
        wait_for(lambda: "events_lost" in home.codes(), seconds=WAIT_SECONDS, what="a word in `status`")
        wait_for(lambda: not home.undisposed(), seconds=WAIT_SECONDS, what="every original in its place")
        assert len(home.files("outbox")) == 31
        assert len(home.files("inbox")) == FLOOD  # of what is not a photo nothing was touched
    finally:
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGTERM)
        ended(process)


def done(home: Home) -> set[str]:
    if not (home.path / "state" / "ledger.db").exists():
        return set()
    return {name for name, state in home.states().items() if state is JobState.DONE}
