"""Weights from the web: whole and right, or not there."""

import errno
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faults import Faults

from nst_daemon.engine.fetching import download
from nst_daemon.errors import MissingError, WeightsError


class _Server(http.server.BaseHTTPRequestHandler):
    """Serves `body`; ends the first answer after `cut` bytes."""

    body = bytes(range(256)) * 4096
    cut: int | None = None
    ranges: list[str | None] = []  # noqa: RUF012  one server a test; the fixture empties it

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if asked and start >= len(self.body):  # RFC 9110, 15.5.17
            self.send_response(416)
            self.end_headers()
            return
        rest = self.body[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.cut])
        type(self).cut = None

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[str]:
    _Server.ranges.clear()
    _Server.cut = None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/vgg.pth"
        httpd.shutdown()
        thread.join()


def _head(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:8]


def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path: Path, server: str) -> None:
    _Server.cut = 100_000
    target = tmp_path / "vgg.pth"
    with pytest.raises(MissingError, match="could not be downloaded"):
        download(server, target, _head(_Server.body))
    assert not target.exists()

    seen: list[tuple[int, int]] = []
    download(server, target, _head(_Server.body), lambda so_far, in_all: seen.append((so_far, in_all)))

    assert target.read_bytes() == _Server.body
    assert _Server.ranges == [None, "bytes=100000-"]
    assert seen[-1] == (len(_Server.body), len(_Server.body))


def test_a_download_with_the_wrong_hash_leaves_nothing(tmp_path: Path, server: str) -> None:
    with pytest.raises(MissingError, match="damaged"):
        download(server, tmp_path / "vgg.pth", "00000000")
    assert list(tmp_path.iterdir()) == []


def test_without_a_connection_the_error_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"engine\.weights to original"):
        download("http://127.0.0.1:1/vgg.pth", tmp_path / "vgg.pth", "00000000")


def test_a_finished_download_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "vgg.pth").write_bytes(b"here")
    assert download("http://127.0.0.1:1/", tmp_path / "vgg.pth", _head(b"here")) == tmp_path / "vgg.pth"


def test_a_download_that_was_complete_before_the_rename_needs_no_connection(tmp_path: Path) -> None:
    (tmp_path / "vgg.pth.part").write_bytes(b"here")
    download("http://127.0.0.1:1/", tmp_path / "vgg.pth", _head(b"here"))
    assert [path.name for path in tmp_path.iterdir()] == ["vgg.pth"]


@pytest.mark.parametrize("length", [len(_Server.body), len(_Server.body) + 9, 1000])
def test_a_part_that_is_no_part_of_the_file_is_fetched_anew(tmp_path: Path, server: str, length: int) -> None:
    (tmp_path / "vgg.pth.part").write_bytes(b"x" * length)
    if length < len(_Server.body):  # it is found out at the end
        with pytest.raises(MissingError, match="damaged"):
            download(server, tmp_path / "vgg.pth", _head(_Server.body))
    download(server, tmp_path / "vgg.pth", _head(_Server.body))
    assert (tmp_path / "vgg.pth").read_bytes() == _Server.body


def test_a_file_that_was_damaged_in_the_cache_is_fetched_anew(tmp_path: Path, server: str) -> None:
    (tmp_path / "vgg.pth").write_bytes(_Server.body[:-1])
    download(server, tmp_path / "vgg.pth", _head(_Server.body))
    assert (tmp_path / "vgg.pth").read_bytes() == _Server.body


@pytest.mark.parametrize(
    ("call", "number", "first"),
    [
        ("open", errno.EACCES, 2),
        ("open", errno.EROFS, 2),
        ("write", errno.ENOSPC, 1),
        ("replace", errno.EIO, 1),
    ],
)
def test_a_disk_that_cannot_keep_the_weights_is_said_in_words_and_the_download_goes_on_later(
    tmp_path: Path, server: str, faults: Faults, call: str, number: int, first: int
) -> None:
    target = tmp_path / "vgg.pth"
    faults.fail(call, number, at=target.with_name("vgg.pth.part"), first=first)
    with pytest.raises(WeightsError, match="cannot be kept in"):
        download(server, target, _head(_Server.body))
    faults.heal()
    assert download(server, target, _head(_Server.body)).read_bytes() == _Server.body
