"""Pictures for the page: made once, what is needed first, kept within a limit; by a reader that is played."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from nst_daemon.intake.inspection import Inspection, Unreadable
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.page import thumbs
from nst_daemon.page.answers import RefusedError
from nst_daemon.page.thumbs import Source, Thumbs

SECONDS = 20.0


class PlayedReader(PhotoReader):
    """Makes a picture of a file's bytes; waits at the first one until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[str] = []
        self.may_go = threading.Event()
        self.may_go.set()

    def thumbnail(self, path: Path, longest: int | None = None) -> bytes | None:
        self.made.append(f"{path.stem} {longest}")
        assert self.may_go.wait(SECONDS)
        content = path.read_bytes()
        if content == b"bug":
            raise ValueError("a bug")
        return None if content == b"text" else content + b" small"

    def inspect(self, path: Path) -> Inspection:
        return Unreadable(reason=f"{path.name} is no picture.", remedy="")


@pytest.fixture
def reader() -> PlayedReader:
    return PlayedReader()


def source(folder: Path, name: str, content: bytes = b"x", *, is_passing: bool = False) -> Source:
    path = folder / f"{name}.jpg"
    path.write_bytes(content)
    return Source(path=path, key=name, is_passing=is_passing)


def run(made: Thumbs, *wanted: Source) -> list[bytes | BaseException]:
    async def all_of_them() -> list[bytes | BaseException]:
        async with asyncio.timeout(SECONDS):
            found = await asyncio.gather(*(made.jpeg(each, "320") for each in wanted), return_exceptions=True)
            await made.close()
            return found

    return asyncio.run(all_of_them())


def test_a_picture_is_made_once_whoever_asks_and_kept(tmp_path: Path, reader: PlayedReader) -> None:
    one = source(tmp_path, "one")
    assert run(Thumbs(tmp_path / "page", reader), one, one, one) == [b"x small"] * 3
    one.path.unlink()
    assert run(Thumbs(tmp_path / "page", PlayedReader()), one) == [b"x small"]
    assert reader.made == ["one 320"]


def test_a_preview_goes_before_all_that_waits_and_is_not_kept(tmp_path: Path, reader: PlayedReader) -> None:
    reader.may_go.clear()
    made = Thumbs(tmp_path / "page", reader)
    pictures = [source(tmp_path, f"photo {number}") for number in range(3)]
    preview = source(tmp_path, "preview", is_passing=True)

    async def test() -> None:
        waiting = [asyncio.create_task(made.jpeg(each, "320")) for each in pictures]
        while not reader.made:
            await asyncio.sleep(0)
        last = asyncio.create_task(made.jpeg(preview, "1280"))
        while made._orders.qsize() < 3:
            await asyncio.sleep(0)
        reader.may_go.set()
        await asyncio.gather(*waiting, last)
        await made.close()

    asyncio.run(test())
    assert reader.made[1] == "preview 1280"
    assert sorted(path.name for path in (tmp_path / "page").iterdir()) == [
        f"photo {number}-320.jpg" for number in range(3)
    ]


def test_a_picture_that_cannot_be_made_costs_no_other(tmp_path: Path, reader: PlayedReader) -> None:
    gone = Source(path=tmp_path / "gone.jpg", key="gone")
    wanted = source(tmp_path, "text", b"text"), source(tmp_path, "bug", b"bug"), gone, source(tmp_path, "one")
    text, bug, away, one = run(Thumbs(tmp_path / "page", reader), *wanted)
    assert isinstance(text, RefusedError) and text.status == 404
    assert isinstance(bug, ValueError)
    assert isinstance(away, RefusedError) and away.status == 404
    assert one == b"x small"


def test_more_than_can_be_made_soon_is_refused(
    tmp_path: Path, reader: PlayedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbs, "MAX_WAITING", 2)
    reader.may_go.clear()
    made = Thumbs(tmp_path / "page", reader)

    async def test() -> None:
        tasks = [asyncio.create_task(made.jpeg(source(tmp_path, str(n)), "320")) for n in range(6)]
        while not any(task.done() for task in tasks):
            await asyncio.sleep(0)
        reader.may_go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        await made.close()
        refused = [each for each in found if isinstance(each, RefusedError)]
        assert refused and {each.status for each in refused} == {429}
        assert b"x small" in found

    asyncio.run(test())


def test_the_oldest_pictures_are_swept_when_they_take_too_much_room(
    tmp_path: Path, reader: PlayedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbs, "SWEEP_AFTER", 1)
    folder = tmp_path / "page"
    folder.mkdir(mode=0o700)
    for age in range(10):
        path = folder / f"old-{age}.jpg"
        path.write_bytes(b"o" * 100)
        os.utime(path, (1_000_000 - age,) * 2)
    run(Thumbs(folder, reader, max_bytes=800), source(tmp_path, "new"))
    left = {path.name for path in folder.iterdir()}
    assert left == {"new-320.jpg", *(f"old-{age}.jpg" for age in range(6))}


def test_a_folder_that_cannot_be_written_costs_the_next_one_its_time_alone(
    tmp_path: Path, reader: PlayedReader
) -> None:
    (tmp_path / "page").write_bytes(b"no folder")
    assert run(Thumbs(tmp_path / "page", reader), source(tmp_path, "one")) == [b"x small"]
