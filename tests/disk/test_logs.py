import errno
import io
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.faults import Faults

from nst_daemon.disk import logs
from nst_daemon.errors import MissingError

logger = logging.getLogger("nst_daemon.some_module")


def test_a_record_names_the_job_of_its_thread(tmp_path: Path) -> None:
    with logs.logging_to(tmp_path) as path:
        logger.info("before")
        with logs.job_in_log(12):
            thread = threading.Thread(target=logger.info, args=("elsewhere",))
            thread.start()
            thread.join()
            logger.info("here")
        logger.info("after")
    lines = path.read_text().splitlines()
    assert [line.split(" ", 3)[-1].strip() for line in lines] == [
        "before",
        "elsewhere",
        "[job 12] here",
        "after",
    ]


def test_an_odd_name_neither_breaks_the_log_nor_forges_a_line(tmp_path: Path) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with logs.logging_to(tmp_path, foreground=stream) as path:
        logger.info("took in %s", os.fsdecode(b"caf\xe9\n2026-01-01 INFO forged \x1b[31m.jpg"))
        logger.info("took in %s", "日本.jpg")
    first, second = path.read_text(encoding="utf-8").splitlines()
    assert "\\x1b[31m" in first
    assert "\\n2026-01-01 INFO forged" in first
    assert second.endswith("日本.jpg")
    stream.flush()
    shown = stream.buffer.getvalue()
    assert b"\\u65e5\\u672c.jpg" in shown


def test_a_bug_is_logged_with_its_traceback_on_lines_of_its_own(tmp_path: Path) -> None:
    with logs.logging_to(tmp_path) as path:
        try:
            raise ZeroDivisionError("by nought")
        except ZeroDivisionError:
            logger.exception("it broke")
    text = path.read_text()
    assert "it broke\nTraceback" in text
    assert "ZeroDivisionError: by nought" in text


def test_the_log_is_rotated_and_old_ones_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 2000)
    with logs.logging_to(tmp_path) as path:
        for number in range(200):
            logger.info("record %d", number)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "nst-daemon.log",
        "nst-daemon.log.1",
        "nst-daemon.log.2",
        "nst-daemon.log.3",
    ]
    assert path.stat().st_size <= 2000


def test_debug_is_for_those_who_ask(tmp_path: Path) -> None:
    with logs.logging_to(tmp_path) as path:
        logger.debug("hidden")
    with logs.logging_to(tmp_path, level=logging.DEBUG):
        logger.debug("shown")
    assert "hidden" not in path.read_text()
    assert "shown" in path.read_text()


def test_nothing_is_left_of_the_logging_when_the_daemon_has_gone(tmp_path: Path) -> None:
    package = logging.getLogger("nst_daemon")
    before = (list(package.handlers), package.level)
    with logs.logging_to(tmp_path, foreground=io.StringIO()):
        assert len(package.handlers) == len(before[0]) + 2
    assert (package.handlers, package.level) == before


def test_the_tail_is_the_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    assert logs.read_tail(path, 10) == []
    path.write_text("\n".join(f"line {number} é" for number in range(1000)) + "\n", encoding="utf-8")
    monkeypatch.setattr(logs, "TAIL_BLOCK", 100)
    assert logs.read_tail(path, 3) == ["line 997 é", "line 998 é", "line 999 é"]
    assert logs.read_tail(path, 5000)[0] == "line 0 é"
    assert logs.read_tail(path, 0) == []


def test_following_goes_on_over_a_rotation_and_while_there_is_no_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")

    def rotate() -> None:
        path.rename(tmp_path / "log.1")
        path.write_text("after\n")

    steps: list[Callable[[], object]] = [
        lambda: _append(path, "one\nha"),
        lambda: _append(path, "lf\n"),
        rotate,
        lambda: path.unlink(),
        lambda: path.write_text("new\n"),
    ]

    def wait() -> bool:
        if not steps:
            return False
        steps.pop(0)()
        return True

    assert list(logs.follow(path, wait=wait)) == ["one", "half", "after", "new"]


def test_following_loses_no_line_that_was_written_before_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("")

    def rotate_twice() -> None:
        _append(path, "two\n")
        path.rename(tmp_path / "log.1")
        path.write_text("three\n")
        (tmp_path / "log.1").rename(tmp_path / "log.2")
        path.rename(tmp_path / "log.1")
        path.write_text("four\n")

    steps: list[Callable[[], None]] = [
        lambda: _append(path, "one\n"),
        rotate_twice,
        lambda: _append(path, "five\n"),
    ]

    def wait() -> bool:
        if not steps:
            return False
        steps.pop(0)()
        return True

    assert list(logs.follow(path, wait=wait)) == ["one", "two", "three", "four", "five"]


@pytest.mark.skipif(os.name == "nt", reason="no rights as on POSIX")
def test_log_and_state_folder_are_their_owners_alone_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with logs.logging_to(tmp_path / "state") as path:
            logger.info("here")
    finally:
        os.umask(before)
    assert [oct(each.stat().st_mode & 0o777) for each in (tmp_path / "state", path)] == ["0o700", "0o600"]


def test_a_log_that_cannot_be_written_is_told_in_words(tmp_path: Path, faults: Faults) -> None:
    faults.fail_for_ever("open", number=errno.EACCES, at=tmp_path / logs.LOG_NAME)
    with pytest.raises(MissingError, match="state folder cannot be used"), logs.logging_to(tmp_path):
        pass


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)
