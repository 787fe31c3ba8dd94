"""What styles look like is found out beside whoever asks; the pictures are played."""

import asyncio
import io
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from PIL import Image

from nst_daemon.errors import ConditionError
from nst_daemon.page import looks as looks_module
from nst_daemon.page.answers import RefusedError
from nst_daemon.page.looks import Look, Looks, jpeg_size
from nst_daemon.page.thumbs import Source, Thumbs

GREY = Look(32, 20, ("grey",))
ONE, TWO, SLOW, TEXT, BUG, DEAF = (
    Source(path=Path(f"{key}.jpg"), key=key) for key in ("one", "two", "slow", "text", "bug", "deaf")
)
REFUSED: dict[str, Exception] = {
    "text": RefusedError(404, "It is no picture."),
    "bug": ValueError("a bug"),
    "deaf": ConditionError("The disk does not answer."),
}


class PlayedThumbs(Thumbs):
    """Gives small grey pictures; waits at the slow one until it is let go."""

    def __init__(self) -> None:
        self.wanted: list[str] = []
        self.may_go = asyncio.Event()

    async def jpeg(self, source: Source, size: str) -> bytes:
        self.wanted.append(source.key)
        if source is SLOW:
            await self.may_go.wait()
        if source.key in REFUSED:
            raise REFUSED[source.key]
        return jpeg((32, 20))

    async def told(self, style: Source) -> list[str]:
        return ["grey"]


def jpeg(size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size).save(stream, "JPEG", quality=88)
    return stream.getvalue()


def run(
    test: Callable[[PlayedThumbs, Looks], Awaitable[None]], now: Callable[[], float] = time.monotonic
) -> None:
    async def within() -> None:
        thumbs = PlayedThumbs()
        looks = Looks(thumbs, now=now)
        async with asyncio.timeout(20):
            await test(thumbs, looks)
            await looks.close()

    asyncio.run(within())


def test_nobody_waits_for_all_that_is_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks_module, "PATIENCE_SECONDS", 0.05)

    async def test(thumbs: PlayedThumbs, looks: Looks) -> None:
        assert await looks.of([ONE, SLOW, TWO]) == ({"one": GREY}, {"slow", "two"})
        assert await looks.of([SLOW]) == ({}, {"slow"})  # the others were removed meanwhile
        thumbs.may_go.set()
        assert await looks.of([ONE, SLOW, TWO]) == (dict.fromkeys(("one", "slow", "two"), GREY), set())
        assert thumbs.wanted == ["one", "slow", "two"]  # each once

    run(test)


def test_what_cannot_be_shown_costs_no_other_and_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = 100.0

    async def test(thumbs: PlayedThumbs, looks: Looks) -> None:
        nonlocal seconds
        everything = [TEXT, BUG, DEAF, ONE]
        assert await looks.of(everything) == ({"one": GREY}, set())
        monkeypatch.delitem(REFUSED, "deaf")
        assert await looks.of(everything) == ({"one": GREY}, set())
        seconds += looks_module.AGAIN_SECONDS + 1
        assert await looks.of(everything) == ({"one": GREY, "deaf": GREY}, set())

    run(test, now=lambda: seconds)


def test_a_picture_that_comes_while_others_are_read_is_read_too() -> None:
    async def test(thumbs: PlayedThumbs, looks: Looks) -> None:
        first = asyncio.create_task(looks.of([SLOW]))
        while not thumbs.wanted:
            await asyncio.sleep(0)
        second = asyncio.create_task(looks.of([SLOW, TWO]))
        await asyncio.sleep(0)
        thumbs.may_go.set()
        assert await first == ({"slow": GREY}, set())
        assert await second == ({"slow": GREY, "two": GREY}, set())

    run(test)


def test_several_who_ask_have_it_read_once() -> None:
    async def test(thumbs: PlayedThumbs, looks: Looks) -> None:
        thumbs.may_go.set()
        answers = await asyncio.gather(*(looks.of([SLOW, ONE]) for _ in range(3)))
        assert answers == [({"slow": GREY, "one": GREY}, set())] * 3
        assert thumbs.wanted == ["slow", "one"]

    run(test)


def test_the_end_does_not_wait_for_a_slow_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks_module, "PATIENCE_SECONDS", 0.01)

    async def test(thumbs: PlayedThumbs, looks: Looks) -> None:
        assert await looks.of([SLOW]) == ({}, {"slow"})

    run(test)


@pytest.mark.parametrize("size", [(320, 213), (1, 1), (2000, 3)])
def test_a_jpeg_of_ours_tells_its_size(size: tuple[int, int]) -> None:
    assert jpeg_size(jpeg(size)) == size
