"""Krita's plug-in, in the real Krita with the real daemon: one Krita for all tests that leave it alive.

Each has a first start of half a minute, so these share a profile; what they order, and on what, is their own.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support import real
from support.krita import ODD, Krita, PaintingDaemon, krita_screen, programs_or_skip
from support.waiting import wait_for

from nst_daemon.folders.exchange import Exchange
from nst_daemon.ledger.jobs import JobState

__all__ = ["krita_screen"]  # a fixture

pytestmark = [pytest.mark.xdist_group("editors"), pytest.mark.timeout(400)]

WIDTH, HEIGHT = 64, 48
WIDE = "Rec2020-elle-V4-g10.icc"
OVER = "answer = bool(studio().orders) and all(order.is_over for order in studio().orders)"
RUNNING = "answer = any(order.state == 'running' for order in studio().orders)"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    programs_or_skip()
    base = tmp_path_factory.mktemp("krita") / ODD
    base.mkdir()
    return base


@pytest.fixture(scope="module")
def exchange(base: Path) -> Exchange:
    exchange = Exchange(base / "exchange")
    exchange.make()
    return exchange


@pytest.fixture(scope="module")
def daemon(base: Path, exchange: Exchange, cache: Callable[[Path], Path]) -> Iterator[PaintingDaemon]:
    (base / "pictures").mkdir()
    daemon = PaintingDaemon(real.made_home(base / "pictures", cache), exchange)
    real.picture(daemon.home / "styles" / "dots.png", seed=9)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture(scope="module")
def running_krita(
    base: Path, exchange: Exchange, daemon: PaintingDaemon, krita_screen: str
) -> Iterator[Krita]:
    krita = Krita(base, krita_screen, exchange)
    try:
        krita.start()
        yield krita
    finally:
        krita.kill()


@pytest.fixture
def krita(running_krita: Krita) -> Iterator[Krita]:
    """Yield a Krita without images and orders; no script of it has failed at the end."""
    yield running_krita
    running_krita.ask(
        "for order in list(studio().orders): studio().cancel(order)\n"
        "for document in app.documents():\n    document.setModified(False); document.close()"
    )
    running_krita.wait(OVER.replace("bool(studio().orders) and ", ""), "an end")
    running_krita.ask("studio().orders.clear()")
    assert running_krita.files() == []
    assert running_krita.faults() == []


def shown(krita: Krita, path: Path, seed: int = 0) -> None:
    """Open a picture in Krita, as `document`."""
    real.picture(path, seed=seed, size=(WIDTH, HEIGHT))
    krita.ask(f"document = show({str(path)!r})")


def layers(krita: Krita, document: str = "document") -> list[str]:
    tree = krita.ask(f"answer = tree({document}.rootNode())")
    return [name for name, kind, _ in tree if kind == "paintlayer"]  # a selection is a node as well


def painted(krita: Krita) -> None:
    krita.wait(OVER, "a painting")


def pixels(krita: Krita, thing: str, kind: type = np.uint8) -> NDArray[np.float64]:
    raw = bytes.fromhex(krita.ask(f"answer = pixels({thing})"))
    return np.frombuffer(raw, kind).reshape(HEIGHT, WIDTH, 4).astype(np.float64)


def test_a_painting_comes_as_a_layer_named_by_its_style_and_one_undo_takes_it_away(
    krita: Krita, base: Path, daemon: PaintingDaemon
) -> None:
    name = 'Ada\'s "sun" \\ ü.png'
    shown(krita, base / name)
    before = krita.ask("answer = pixels(document)")
    assert krita.ask("answer = paint('stripes')") == ""
    painted(krita)
    assert krita.rows() == [["stripes", 'Layer "stripes" added, painted at 48 × 36 px and scaled.', False]]
    assert layers(krita) == ["Background", "stripes"]
    assert krita.ask("settle(document); answer = pixels(document)") != before
    assert krita.files() == []
    krita.ask("press('edit_undo', document)")
    assert layers(krita) == ["Background"]
    assert krita.ask("answer = pixels(document)") == before
    krita.ask("press('edit_redo', document)")
    assert layers(krita) == ["Background", "stripes"]
    assert krita.ask("answer = pixels(document)") != before
    job = daemon.jobs()[-1]
    assert (job.photo, job.state) == (name, JobState.DONE)


def test_a_painting_comes_above_the_active_layer_which_stays_active(krita: Krita, base: Path) -> None:
    shown(krita, base / "layers.png")
    krita.ask(
        "above = document.createNode('above', 'paintlayer')\n"
        "document.rootNode().addChildNode(above, None); settle(document)"
    )
    krita.wait("answer = document.activeNode().name() == 'above'", "Krita's own choice")
    krita.ask("document.setActiveNode(document.nodeByName('Background')); settle(document); paint('stripes')")
    painted(krita)
    assert layers(krita) == ["Background", "stripes", "above"]
    krita.wait("answer = document.activeNode().name() == 'Background'", "the layer that was active")


def test_two_images_of_one_name_each_get_their_own(krita: Krita, base: Path) -> None:
    shown(krita, base / "one" / "same.png", seed=1)
    krita.ask("first = document; paint('stripes')")
    shown(krita, base / "two" / "same.png", seed=2)
    krita.ask("paint('dots'); answer = rows()")
    krita.ask("paint('stripes')")
    painted(krita)
    assert layers(krita, "first") == ["Background", "stripes"]
    assert sorted(layers(krita)) == ["Background", "dots", "stripes"]
    assert [row[0] for row in krita.rows()] == ["dots", "stripes"], "the docker shows the front image's alone"


@pytest.mark.parametrize(("depth", "kind", "full"), [("U16", np.uint16, 65535), ("F32", np.float32, 1.0)])
def test_depth_and_a_wide_profile_go_there_and_back(
    krita: Krita, depth: str, kind: type, full: float
) -> None:
    ramp = np.linspace(0.02, 1, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
    colors = np.stack([0.6 * ramp, 0.7 * ramp, 0.7 * ramp, np.ones_like(ramp)], axis=-1)  # within sRGB
    raw = (colors * full).astype(kind).tobytes()
    krita.ask(
        f"document = new('wide', {WIDTH}, {HEIGHT}, {depth!r}, {WIDE!r}, bytes.fromhex({raw.hex()!r}))\n"
        "paint('stripes', size='original', strength=0)"  # which is the photo itself
    )
    painted(krita)
    assert layers(krita) == ["Background", "stripes"]
    space = krita.ask("n = document.nodeByName('stripes'); answer = n.colorDepth(), n.colorProfile()")
    assert space == [depth, WIDE]
    there = pixels(krita, "document.nodeByName('Background')", kind)
    back = pixels(krita, "document.nodeByName('stripes')", kind)
    assert np.abs(there - back).max() <= 0.0005 * full, "an eighth of a step of 8 bits"


def test_a_selection_becomes_the_layers_mask_in_the_same_undo_step(krita: Krita, base: Path) -> None:
    shown(krita, base / "selected.png")
    before = pixels(krita, "document")
    krita.ask(
        "from krita import Selection\n"
        "chosen = Selection(); chosen.select(16, 8, 24, 20, 255); document.setSelection(chosen)\n"
        "paint('stripes')"
    )
    painted(krita)
    tree = krita.ask("answer = tree(document.rootNode())")
    assert tree[1] == ["stripes", "paintlayer", [["Selection", "transparencymask", []]]]
    changed = np.abs(pixels(krita, "document") - before).max(axis=-1) > 0
    assert changed[8:28, 16:40].mean() > 0.9
    changed[8:28, 16:40] = False
    assert not changed.any()
    krita.ask("press('edit_undo', document)")
    assert layers(krita) == ["Background"]
    assert (pixels(krita, "document") == before).all()


def test_a_selection_may_be_what_is_painted(krita: Krita, base: Path) -> None:
    shown(krita, base / "masked.png")
    krita.ask(
        "from krita import Selection\n"
        "chosen = Selection(); chosen.select(0, 0, 32, 48, 255); document.setSelection(chosen)\n"
        "paint('dots', selection='daemon', size='original')"
    )
    painted(krita)
    assert krita.ask("answer = tree(document.rootNode())")[1] == ["dots", "paintlayer", []]
    moved = np.abs(
        pixels(krita, "document.nodeByName('dots')") - pixels(krita, "document.nodeByName('Background')")
    )
    assert moved[:, :28, :3].mean() > 3
    assert moved[:, 36:].max() <= 2


def test_an_image_that_was_resized_meanwhile_gets_a_layer_of_its_size_and_is_told(
    krita: Krita, base: Path
) -> None:
    shown(krita, base / "grows.png")
    krita.ask("paint('stripes'); document.scaleImage(128, 96, 72, 72, 'Bicubic'); settle(document)")
    painted(krita)
    words = krita.rows()[0][1]
    assert "the image was 64 × 48 px before: the painting was scaled" in words
    assert krita.ask("b = document.nodeByName('stripes').bounds(); answer = b.width(), b.height()") == [
        128,
        96,
    ]


def test_cancel_ends_the_job_and_leaves_nothing(krita: Krita, base: Path, daemon: PaintingDaemon) -> None:
    shown(krita, base / "endless.png")
    krita.ask(
        "document.scaleImage(640, 480, 72, 72, 'Bicubic'); settle(document)\n"
        "paint('stripes', size='original')"
    )
    krita.wait(RUNNING, "the painting's begin")
    krita.ask("row(studio().orders[-1].id).end.click()")
    wait_for(lambda: krita.rows()[0][1] == "Cancelled.", seconds=20, what="the cancel")
    wait_for(lambda: daemon.jobs()[-1].state is JobState.CANCELLED, seconds=60, what="the step's end")
    assert krita.files() == []


def test_an_unknown_style_is_shown_with_what_to_do(krita: Krita, base: Path) -> None:
    shown(krita, base / "lost.png")
    krita.ask(
        "from nst_daemon.choices import Choice\nstudio().paint(Choice(style='strypes')); answer = orders()"
    )
    krita.wait("answer = studio().orders[-1].state == 'held'", "an answer")
    words = krita.rows()[0][1]
    assert "strypes" in words
    assert "stripes" in words, "what it may have been"
    assert krita.ask("answer = row(studio().orders[-1].id).words.styleSheet()") != ""


def test_an_image_that_is_closed_gets_its_painting_when_it_is_open_again(krita: Krita, base: Path) -> None:
    shown(krita, base / "closed.png")
    krita.ask("paint('stripes'); document.setModified(False); document.close()")
    krita.wait("answer = studio().orders[-1].is_ready", "the painting")
    assert krita.rows() == [["closed.png: stripes", "Finished.", True]]
    krita.ask(f"document = show({str(base / 'closed.png')!r})")
    krita.wait("answer = rows()[0][0] == 'stripes'", "the image's own row")
    assert layers(krita) == ["Background"]
    krita.ask("row(studio().orders[-1].id).fetch.click()")
    painted(krita)
    assert layers(krita) == ["Background", "stripes"]


def test_the_list_of_styles_follows_the_library(krita: Krita, daemon: PaintingDaemon) -> None:
    real.picture(daemon.home / "styles" / "waves.png", seed=5)
    krita.wait(
        "styles = find(QtWidgets.QListWidget, 'nst_styles')\n"
        "answer = 'waves' in [styles.item(i).text() for i in range(styles.count())]",
        "the new style",
    )


def test_krita_without_the_daemon_and_killed_in_the_middle(
    tmp_path: Path, krita_screen: str, cache: Callable[[Path], Path]
) -> None:
    """One profile, two starts: nobody answers; a failure; a kill; what was to go on is fetched then."""
    base = tmp_path / ODD
    (base / "pictures").mkdir(parents=True)
    exchange = Exchange(base / "exchange")
    exchange.make()
    exchange.styles.write_text("stripes\t\n")
    daemon = PaintingDaemon(real.made_home(base / "pictures", cache), exchange)
    krita = Krita(base, krita_screen, exchange)
    try:
        krita.start()
        shown(krita, base / "goes on.png")
        krita.ask("document.scaleImage(1600, 1200, 72, 72, 'Bicubic'); settle(document)")
        krita.ask("paint('stripes')")
        krita.wait("answer = studio().orders[-1].is_late", "a complaint", seconds=10)
        assert krita.rows()[0][1].startswith('nst-daemon is not running: start it with "nst-daemon start".')
        (photo,) = (exchange.root / "in" / "krita").glob("*.png")
        failure = "nst=1\nstate=failed\nerror=The engine is broken.\nremedy=Mend it.\n"
        photo.with_name(f"{photo.name}.status").write_text(failure)
        painted(krita)
        assert krita.rows()[0][1] == "The engine is broken. Mend it."
        assert krita.files() == []

        krita.ask("studio().orders.clear(); paint('stripes', size='original')")
        krita.ask("paint('stripes', goes_on=True)")
        assert len([name for name in krita.files() if name.endswith(".yaml")]) == 2
        krita.kill()
        daemon.start()
        ends = [JobState.CANCELLED, JobState.DONE]
        wait_for(lambda: sorted(job.state for job in daemon.jobs()) == ends, seconds=120, what="both ends")
        wait_for(lambda: len(krita.files()) == 4, seconds=60, what="the end of what nobody waits for")

        krita.start()
        krita.wait("answer = bool(rows()) and rows()[0][2]", "the offer")
        assert krita.rows() == [["goes on.png: stripes", "Finished.", True]]
        krita.ask("row(studio().orders[-1].id).fetch.click()")
        assert krita.ask("answer = app.activeDocument().name(), app.activeDocument().width()") == [
            "goes on.png, stripes",
            48,
        ]
        assert krita.files() == []
        assert krita.faults() == []
    finally:
        krita.kill()
        daemon.stop()
