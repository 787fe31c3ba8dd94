"""torchvision's weights from the web: whole and right, or not there."""

import errno
import hashlib
import http.server
import io
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.faults import Faults
from torchvision.models import VGG19_Weights

from nst_daemon.engine import fetching, weights
from nst_daemon.engine.fetching import torchvision_weights
from nst_daemon.errors import MissingError, WeightsError


def _saved(state: object) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def _network() -> dict[str, torch.Tensor]:
    """Return a network that has torchvision's names, and next to no weights."""
    state = {}
    for index in weights._TORCHVISION_INDEX:
        state[f"features.{index}.weight"] = torch.full((64, 3, 3, 3), float(index + 1))
        state[f"features.{index}.bias"] = torch.zeros(64)
    return state


NETWORK = _saved(_network())


class _Server(http.server.BaseHTTPRequestHandler):
    """Serves `body`; `cut`: the first answer ends after so many bytes."""

    body = NETWORK
    cut: int | None = None
    asked = 0
    hangs: threading.Event | None = None

    def do_GET(self) -> None:
        type(self).asked += 1
        if self.hangs is not None:
            self.hangs.wait(20)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body[: self.cut])
        type(self).cut = None

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Have torchvision's address lead to a server here, whose file has the right hash in its name."""
    for name, value in (("body", NETWORK), ("cut", None), ("asked", 0), ("hangs", None)):
        monkeypatch.setattr(_Server, name, value)
    monkeypatch.setattr(urllib.request, "_opener", None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield _serve(monkeypatch, f"http://127.0.0.1:{httpd.server_port}", NETWORK)
        httpd.shutdown()
        thread.join()


def _serve(monkeypatch: pytest.MonkeyPatch, at: str, body: bytes) -> str:
    name = f"vgg19-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    monkeypatch.setattr(VGG19_Weights.IMAGENET1K_V1.value, "url", f"{at}/{name}")
    return name


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {fetching.LOCK}


def test_the_weights_are_downloaded_once_and_kept_under_torchvisions_name(
    tmp_path: Path, server: str
) -> None:
    for _ in range(2):
        loaded = weights.load_weights("torchvision", cache_dir=tmp_path / "cache")
        assert (loaded["conv5_4"][0] == 35.0).all()
    assert (tmp_path / "cache" / server).read_bytes() == NETWORK
    assert _names(tmp_path / "cache") == {server}
    assert _Server.asked == 1


def test_the_address_is_torchvisions_own_and_names_the_hash() -> None:
    url = VGG19_Weights.IMAGENET1K_V1.url
    assert url.startswith("https://download.pytorch.org/")
    assert torch.hub.HASH_REGEX.findall(url) == ["dcbb9e9d"]


def test_a_download_is_told_in_the_log_and_stdout_stays_the_commands(
    tmp_path: Path, server: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(fetching, "WORD_SECONDS", 0.0)
    caplog.set_level("INFO", logger=fetching.__name__)
    torchvision_weights(tmp_path)
    said = [record.getMessage() for record in caplog.records]
    assert "Downloading" in said[0]
    assert "100" in said[-1]
    assert capfd.readouterr() == ("", "")


def test_words_on_a_download_are_seldom(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger=fetching.__name__)
    with fetching._told_in_the_log():
        for percent in range(100):
            sys.stderr.write(f"\r{percent}.0%")
    assert [record.getMessage() for record in caplog.records] == ["torchvision's weights: 0.0%"]


def test_a_download_with_the_wrong_hash_leaves_nothing(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Server, "body", NETWORK[:-1] + b"!")
    with pytest.raises(MissingError, match="damaged"):
        torchvision_weights(tmp_path)
    assert _names(tmp_path) == set()


def test_a_download_that_breaks_off_leaves_nothing_and_the_next_one_is_whole(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Server, "cut", 1000)
    with pytest.raises(MissingError, match="broke off"):
        torchvision_weights(tmp_path)
    assert _names(tmp_path) == set()
    torchvision_weights(tmp_path)
    assert _names(tmp_path) == {server}


def test_without_a_connection_the_error_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = _serve(monkeypatch, "http://127.0.0.1:1", NETWORK)
    with pytest.raises(WeightsError, match="could not be downloaded") as caught:
        torchvision_weights(tmp_path)
    assert str(tmp_path / name) in caught.value.remedy
    assert "engine.weights to original" in caught.value.remedy


def test_a_dead_line_ends(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT", 0.2)
    monkeypatch.setattr(_Server, "hangs", threading.Event())
    try:
        with pytest.raises(WeightsError, match="could not be downloaded"):
            torchvision_weights(tmp_path)
    finally:
        assert _Server.hangs is not None
        _Server.hangs.set()


def test_a_file_that_was_put_there_by_hand_needs_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = _serve(monkeypatch, "http://127.0.0.1:1", NETWORK)
    (tmp_path / name).write_bytes(NETWORK)
    assert set(torchvision_weights(tmp_path)) == set(_network())


def test_a_file_that_was_damaged_in_the_cache_is_fetched_anew(tmp_path: Path, server: str) -> None:
    (tmp_path / server).write_bytes(NETWORK[:-1])
    torchvision_weights(tmp_path)
    assert (tmp_path / server).read_bytes() == NETWORK


def test_what_a_killed_download_left_is_removed_and_nothing_else(tmp_path: Path, server: str) -> None:
    (tmp_path / f"{server}.0123.partial").write_bytes(b"half")
    (tmp_path / "mine.partial").write_bytes(b"whole")
    torchvision_weights(tmp_path)
    assert _names(tmp_path) == {server, "mine.partial"}


def test_engines_that_start_together_download_once(tmp_path: Path, server: str) -> None:
    threads = [threading.Thread(target=torchvision_weights, args=(tmp_path,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _Server.asked == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_cannot_keep_the_weights_is_said_in_words(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(path: str, *_: object) -> None:
        raise OSError(number, "refused", path)

    monkeypatch.setattr(torch.hub, "open", full, raising=False)
    with pytest.raises(WeightsError, match="cannot be kept in"):
        torchvision_weights(tmp_path)


def test_a_cache_that_does_not_answer_is_not_told_as_weights_that_are_missing(
    tmp_path: Path, server: str, faults: Faults
) -> None:
    torchvision_weights(tmp_path)
    faults.fail("open", errno.EIO, at=tmp_path / server)
    with pytest.raises(WeightsError, match="cannot be kept in"):
        torchvision_weights(tmp_path)


def test_a_download_that_would_run_code_is_refused(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = _saved({"features.0.weight": Path("a class, not a tensor")})
    monkeypatch.setattr(_Server, "body", evil)
    at = VGG19_Weights.IMAGENET1K_V1.url.rpartition("/")[0]
    _serve(monkeypatch, at, evil)
    with pytest.raises(WeightsError, match="damaged"):
        torchvision_weights(tmp_path)


def test_without_torchvision_or_with_another_torchs_the_remedy_names_the_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(WeightsError, match="torchvision cannot be loaded") as caught:
        torchvision_weights(tmp_path)
    assert "pip install --upgrade torch torchvision" in caught.value.remedy


def test_other_weights_load_no_torchvision() -> None:
    code = (
        "import sys; from nst_daemon.engine import studio, weights\n"
        "weights.load_original(); sys.exit('torchvision' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
