"""Limits of what may be sent: how many at once, how many that wait, and how much room is left."""

import asyncio
import errno
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from support.faults import Faults
from support.new_jobs import new_job

from nst_daemon import disk
from nst_daemon.folders.library import Library
from nst_daemon.images.endings import is_picture, role_of
from nst_daemon.ledger import Ledger
from nst_daemon.page import uploads
from nst_daemon.page.answers import RefusedError
from nst_daemon.page.uploads import MARGIN, Untaken, Uploads, asked, into_inbox, own_name

Receive = Callable[[], Awaitable[dict[str, object]]]


def request(receive: Receive, length: int | None = None) -> Request:
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def sent(*blocks: bytes) -> Receive:
    """Return what comes from a browser that sends some blocks."""
    waiting = [{"type": "http.request", "body": block, "more_body": True} for block in blocks]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, object]:
        return waiting.pop(0)

    return receive


def take(
    folder: Path, receive: Receive, *, source: Uploads | None = None, length: int | None = None
) -> bytes:
    async def taken() -> bytes:
        async with (source or Uploads()).taken(request(receive, length), folder, 1000) as draft:
            return draft.read_bytes()

    return asyncio.run(taken())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "state" / "ledger.db") as ledger:
        yield ledger


def test_a_file_is_whole_under_a_hidden_name_and_gone_in_the_end(tmp_path: Path) -> None:
    assert take(tmp_path, sent(b"ab", b"", b"cd")) == b"abcd"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_found_before_and_while_it_fills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [MARGIN + 500, MARGIN + 1]
    monkeypatch.setattr(disk, "free_bytes", lambda folder: free[0])
    with pytest.raises(RefusedError, match="full") as refused:
        take(tmp_path, sent(b"x"), length=600)
    assert refused.value.status == 507

    monkeypatch.setattr(uploads, "BLOCK", 2)
    monkeypatch.setattr(disk, "free_bytes", lambda folder: free.pop(0))
    with pytest.raises(RefusedError, match="full"):
        take(tmp_path, sent(b"xx", b"xx"))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_leaves_nothing(tmp_path: Path, faults: Faults) -> None:
    from nst_daemon.errors import ConditionError

    faults.fail("write", number=errno.ENOSPC)
    with pytest.raises(ConditionError):
        take(tmp_path, sent(b"x"))
    faults.heal()
    assert list(tmp_path.iterdir()) == []


def test_so_many_files_may_be_on_their_way_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_AT_ONCE", 2)

    async def test() -> None:
        source = Uploads()
        both = (
            source.taken(request(sent(b"a")), tmp_path, 10),
            source.taken(request(sent(b"b")), tmp_path, 10),
        )
        async with both[0], both[1]:
            with pytest.raises(RefusedError) as refused:
                async with source.taken(request(sent(b"c")), tmp_path, 10):
                    pass
            assert refused.value.status == 429
        async with source.taken(request(sent(b"c")), tmp_path, 10) as draft:
            assert draft.read_bytes() == b"c"

    asyncio.run(test())


def test_photos_that_nobody_takes_in_are_a_limit_and_those_that_are_taken_make_room(
    tmp_path: Path, ledger: Ledger
) -> None:
    untaken = Untaken(ledger, at_most=3)
    photos = [tmp_path / f"{number}.jpg" for number in range(3)]
    for photo in photos:
        untaken.check()
        photo.write_bytes(b"x")
        untaken.note(photo)
    with pytest.raises(RefusedError) as refused:
        untaken.check()
    assert refused.value.status == 429
    photos[0].unlink()  # painted, and in the archive
    untaken.check()
    untaken.note(photos[0])
    photos[0].write_bytes(b"x")
    ledger.add(new_job("k", original=photos[1]))  # in the queue
    untaken.check()


def test_two_photos_of_one_name_at_once_both_get_one(tmp_path: Path) -> None:
    names = set()
    for number in range(3):
        draft = tmp_path / f".draft-{number}"
        draft.write_bytes(b"%d" % number)
        photo = into_inbox(draft, "a.jpg", {"style": "mosaic"})
        assert photo.read_bytes() == b"%d" % number
        assert json.loads(photo.with_name(f"{photo.name}.yaml").read_text().partition(": ")[2]) == "mosaic"
        names.add(photo.name)
    assert names == {"a.jpg", "a.2.jpg", "a.3.jpg"}


def test_a_sidecar_that_lies_there_is_no_other_photos(tmp_path: Path) -> None:
    (tmp_path / "a.jpg.yaml").write_text("style: woodcut\n")
    (tmp_path / "draft").write_bytes(b"x")
    assert into_inbox(tmp_path / "draft", "a.jpg", {}).name == "a.2.jpg"


def test_a_disk_without_links_gets_the_photo_by_its_name_alone(tmp_path: Path, faults: Faults) -> None:
    faults.fail("link", number=errno.EPERM)
    (tmp_path / "draft").write_bytes(b"x")
    assert into_inbox(tmp_path / "draft", "a.jpg", {}).read_bytes() == b"x"
    assert not (tmp_path / "draft").exists()


def test_a_name_that_the_config_leaves_alone_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"watch\.ignore"):
        own_name("a.jpg", ("*.jpg",))


@given(st.text(max_size=300) | st.from_regex(r"[./\\\\\s~%:]*\w*\.(jpg|PNG|svg|mask\.png)", fullmatch=True))
def test_whatever_a_browser_calls_a_photo_it_gets_a_plain_name_or_none(name: str) -> None:
    try:
        own = own_name(name)
    except RefusedError as refused:
        assert refused.status == 415
        return
    assert PurePath(own).name == own
    assert own.isprintable() and not set(own) & set('/\\:*?"<>|') and not own.startswith(".")
    assert len(own.encode()) <= uploads.MAX_NAME
    assert is_picture(own) and role_of(own) is None


def test_what_is_asked_for_is_a_style_of_the_library_and_settings_that_there_are(tmp_path: Path) -> None:
    library = Library(tmp_path)
    assert asked({}, library) == {}
    assert asked({"style": "MOSAIC", "size": "original"}, library) == {
        "style": "mosaic",
        "set": {"size": "original"},
    }
