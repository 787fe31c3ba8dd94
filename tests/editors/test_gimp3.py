"""GIMP 3 itself, with our plug-in, against a real daemon with the real network, small."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from PIL import Image
from support.desktops import screen
from support.gimp import heard
from support.gimp3 import Gimp3, gimp3_profile, room, trixie  # noqa: F401
from support.matrix import PROFILES
from support.real import home, jobs_of, picture, running  # noqa: F401  # a fixture
from support.waiting import take
from support.windows import Windows, undo_and_redo

from nst_daemon.folders.exchange import Exchange, clear
from nst_daemon.ledger.jobs import JobState

pytestmark = [pytest.mark.xdist_group("editors"), pytest.mark.timeout(600)]


class Studio:
    """GIMP 3 in a folder of an awkward name, with an exchange folder that the daemon of `home` answers."""

    def __init__(self, root: Path, folder: Path, first: Path, home: Path) -> None:  # noqa: F811
        self.folder = folder
        self.exchange = folder / "the exchange ü"
        Exchange(self.exchange).make()
        config = home / "config.yaml"
        config.write_text(config.read_text() + f"exchange: {_quoted(self.exchange)}\n")
        self.gimp = Gimp3(root, folder, first)
        self.gimp.install(self.exchange)

    def run(self, script: str) -> tuple[list[str], str]:
        said = self.gimp.run(script)
        assert said.faults == []
        return said.lines, said.messages

    def files(self) -> list[str]:
        folders = (self.exchange / way / "gimp" for way in ("in", "out"))
        return sorted(path.name for folder in folders for path in folder.iterdir() if path.is_file())


def _quoted(path: Path) -> str:
    return '"' + str(path).replace('"', '\\"') + '"'


@pytest.fixture
def studio(home: Path, gimp3_profile: Path) -> Iterator[Studio]:  # noqa: F811
    root = trixie()
    with room(root) as folder:
        yield Studio(root, folder, gimp3_profile, home)


def pixels(path: Path, mode: str = "RGB") -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    with Image.open(path) as image:
        return np.asarray(image.convert(mode)).astype(np.int64)


def test_a_painting_comes_back_as_a_layer_above_the_active_one(home: Path, studio: Studio) -> None:  # noqa: F811
    clear = np.zeros((48, 64, 4), np.uint8)
    clear[8:40, 8:40] = (200, 100, 50, 255)
    clear[8:40, 20:30, 3] = 128
    Image.fromarray(clear).save(studio.folder / "photo.tif")
    with running(home):
        lines, messages = studio.run("""
    image = opened("photo.tif")
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(image.get_layers()[1], group, 0)
    small = Gimp.Layer.new(image, "small", 10, 10, Gimp.ImageType.RGB_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(small, group, 0)
    small.fill(Gimp.FillType.WHITE)
    small.set_offsets(50, 30)
    image.set_selected_layers([small])
    say(paint(image, strength=0))
    say(names(image), [each.get_name() for each in group.get_children()])
    layer = group.get_children()[0]
    say(list(layer.get_offsets())[-2:], layer.get_width(), layer.get_height(), layer.get_mask())
    image.reorder_item(layer, None, 0)
    saved(image, layer, "layer.tif")
""")

    assert lines == ["success", "['group'] ['stripes', 'small', 'Background']", "[0, 0] 64 48 None"]
    assert messages == ""
    assert studio.files() == []
    clear[30:40, 50:60] = 255
    back = pixels(studio.folder / "layer.tif", "RGBA")
    assert int(np.abs(back[..., 3] - clear[..., 3]).max()) <= 1
    assert int(np.abs(back - clear)[clear[..., 3] == 255].max()) <= 2
    (job,) = jobs_of(home).values()
    assert job.style == "stripes"


def test_sixteen_bits_and_a_wide_profile_are_kept(home: Path, studio: Studio) -> None:  # noqa: F811
    """At a strength of 0 the painting is the photo: what comes back has to be what went out."""
    grey = np.linspace(8000, 60000, 48 * 64).reshape(48, 64, 1)
    tint = np.random.default_rng(7).uniform(-500, 500, (48, 64, 3))  # few enough that sRGB has them all
    deep = (grey + tint).astype(np.uint16)
    profile = PROFILES["prophoto"]
    tifffile.imwrite(studio.folder / "photo.tif", deep, photometric="rgb", iccprofile=profile)
    with running(home):
        lines, _ = studio.run("""
    image = opened("photo.tif")
    say(paint(image, strength=0))
    say(image.get_precision().value_nick, names(image))
    saved(image, image.get_layers()[0], "layer.tif")
""")

    assert lines == ["success", "u16-non-linear ['stripes', 'Background']"]
    with tifffile.TiffFile(studio.folder / "layer.tif") as file:
        assert file.pages.first.tags["InterColorProfile"].value == profile
        back = file.pages.first.asarray()
    assert back.dtype == np.uint16
    assert len(np.unique(back)) > 4000  # not 8 bits in disguise
    assert int(np.abs(back.astype(int) - deep).max()) <= 4


def test_a_selection_becomes_the_mask_of_the_layer_or_the_daemon_s(home: Path, studio: Studio) -> None:  # noqa: F811
    picture(studio.folder / "photo.tif")
    with running(home):
        lines, messages = studio.run("""
    image = opened("photo.tif")
    Gimp.context_set_feather(True)
    Gimp.context_set_feather_radius(6, 6)
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 10, 8, 40, 30)
    wanted = grey(image.get_selection())
    say(paint(image, size="px", px=64, selection="layer-mask"))
    mask = grey(image.get_layers()[0].get_mask())
    say(len(set(wanted)) > 20, mask == wanted, names(image))
    say(paint(image, size="px", px=100, selection="layer-mask", keep_colors=True))
    say(image.get_layers()[0].get_mask().get_width(), names(image))
    Gimp.context_set_feather(False)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 32, 48)
    for layer in image.get_layers()[:2]:
        image.remove_layer(layer)
    say(paint(image, selection="mask"), image.get_layers()[0].get_mask())
    saved(image, image.get_layers()[0], "layer.tif")
""")

    assert lines[:2] == ["success", "True True ['stripes', 'Background']"]
    assert lines[2:4] == ["success", "64 ['stripes #1', 'stripes', 'Background']"]
    assert lines[4:] == ["success None"]
    assert "was painted at 100 × 75 px and is scaled to the image, 64 × 48 px." in messages
    before, after = pixels(studio.folder / "photo.tif"), pixels(studio.folder / "layer.tif")
    assert int(np.abs(after - before)[:, 33:].max()) <= 2
    assert int(np.abs(after - before)[:, :31].mean()) > 3
    assert studio.files() == []


def test_a_grey_image_gets_a_grey_layer_and_an_indexed_one_an_indexed(home: Path, studio: Studio) -> None:  # noqa: F811
    """GIMP's menu does not offer it for what is indexed. A script may, or the image became so meanwhile."""
    with Image.open(picture(studio.folder / "photo.tif")) as image:
        image.convert("L").save(studio.folder / "photo.tif")
    picture(studio.folder / "colours.tif")
    with running(home):
        lines, _ = studio.run("""
    image = opened("photo.tif")
    say(image.get_base_type().value_nick)
    Gimp.context_set_feather(True)
    Gimp.context_set_feather_radius(6, 6)
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 10, 8, 40, 30)
    wanted = grey(image.get_selection())
    say(paint(image, strength=0, selection="layer-mask"))
    layer = image.get_layers()[0]
    say(names(image), layer.is_gray(), grey(layer.get_mask()) == wanted)
    layer.remove_mask(Gimp.MaskApplyMode.DISCARD)
    saved(image, layer, "layer.tif")
    image = opened("colours.tif")
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16, False, False, "")
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 10, 8, 40, 30)
    wanted = grey(image.get_selection())
    say(paint(image, selection="layer-mask"))
    layer = image.get_layers()[0]
    say(names(image), layer.is_indexed(), grey(layer.get_mask()) == wanted)
""")
    assert lines == [
        "gray",
        "success",
        "['stripes', 'Background'] True True",
        "success",
        "['stripes', 'Background'] True True",
    ]
    with Image.open(studio.folder / "layer.tif") as image:
        assert image.mode == "L"
    before, after = (pixels(studio.folder / name, "L") for name in ("photo.tif", "layer.tif"))
    assert int(np.abs(after - before).max()) <= 2
    assert studio.files() == []


def test_one_undo_takes_a_painting_away_and_one_redo_brings_it_back(
    home: Path,  # noqa: F811
    studio: Studio,
) -> None:
    """With all that may belong to it: a layer that was scaled and has a mask. What was before it stays."""
    picture(studio.folder / "photo.tif")
    script = """
    image = opened("photo.tif")
    Gimp.Display.new(image)
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 10, 8, 40, 30)
    paint(image, size="px", px=100, selection="layer-mask")
    def state():
        layers = [(layer.get_name(), layer.get_mask() is not None) for layer in image.get_layers()]
        return layers, not Gimp.Selection.is_empty(image)
    before = None
    while not os.path.exists(os.path.join(folder, "enough")):
        now = state()
        if now != before and now == state():  # not half before an undo and half behind it
            say(now)
            before = now
        time.sleep(0.05)
"""
    with running(home), screen("640x480") as display:
        windows, said = Windows(display, (640, 480)), studio.folder / "said.txt"
        process = studio.gimp.start(script, display)
        try:
            undo_and_redo(windows, said)
        finally:
            (studio.folder / "enough").touch()
            heard(process, studio.folder)

    painted = "([('stripes', True), ('Background', False)], True)"
    assert said.read_text().splitlines() == [painted, "([('Background', False)], True)", painted]


def test_two_images_of_one_name_get_their_own_paintings(home: Path, studio: Studio) -> None:  # noqa: F811
    title = 'it\'s "one" & the same: ü\\.xcf'
    for number in (1, 2):
        picture(studio.folder / str(number) / "photo.tif", seed=number)
    with running(home):
        lines, _ = studio.run(f"""
    images = [kept(opened(f"{{number}}/photo.tif"), f"{{number}}/" + {title!r}) for number in (1, 2)]
    for image in images:
        say(paint(image, strength=0))
    for number, image in enumerate(images, 1):
        saved(image, image.get_layers()[0], f"{{number}}.tif")
""")

    assert lines == ["success", "success"]
    assert set(jobs_of(home)) == {title}
    for number in (1, 2):
        before, after = (pixels(studio.folder / name) for name in (f"{number}/photo.tif", f"{number}.tif"))
        assert int(np.abs(after - before).max()) <= 2


def test_what_went_wrong_is_an_error_with_its_remedy(home: Path, studio: Studio) -> None:  # noqa: F811
    picture(studio.folder / "photo.tif")
    picture(studio.folder / "tiny.tif", size=(8, 8))
    with running(home):
        lines, _ = studio.run("""
    image, tiny = opened("photo.tif"), opened("tiny.tif")
    say(paint(tiny))
    say(paint(image, style="no_such_style"))
    say(paint(image, style=""))
    say(names(image), names(tiny))
""")

    assert lines[0].startswith("execution-error: ")
    assert "8" in lines[0]
    assert "16" in lines[0]
    assert lines[1].startswith("execution-error: ")
    assert "no_such_style" in lines[1]
    assert lines[2].startswith("execution-error: Choose a style.")
    assert lines[3] == "['Background'] ['Background']"
    assert studio.files() == []


def test_without_a_daemon_it_says_so_and_the_picture_waits(
    home: Path,  # noqa: F811
    studio: Studio,
    wait_for: Callable[..., None],
) -> None:
    picture(studio.folder / "photo.tif")
    process = studio.gimp.start("""
    image = opened("photo.tif")
    say(paint(image))
    say(names(image))
""")
    try:
        wait_for(lambda: any(name.endswith(".yaml") for name in studio.files()), seconds=200)
        take(4.0)  # the plug-in gives a daemon three seconds, by its own clock
        with running(home):
            _, stderr = process.communicate(timeout=200)
    finally:
        process.kill()
        process.wait()
    said = (
        'nst-daemon is not running: start it with "nst-daemon start". The picture waits, and will be painted.'
    )
    assert stderr.count(said) == 1
    assert (studio.folder / "said.txt").read_text().splitlines() == ["success", "['stripes', 'Background']"]


def test_a_plug_in_that_is_killed_ends_the_work_and_leaves_nothing(
    home: Path,  # noqa: F811
    studio: Studio,
    wait_for: Callable[..., None],
) -> None:
    """Cancel kills it, and so does the end of GIMP."""
    config = home / "config.yaml"
    config.write_text(config.read_text().replace("steps: 3", "steps: 90000"))
    picture(studio.folder / "photo.tif")
    with running(home):
        process = studio.gimp.start("""
    image = opened("photo.tif")
    say(paint(image))
""")
        try:
            wait_for(lambda: _state(home) is JobState.RUNNING, seconds=200)
            for each in psutil.Process(process.pid).children(recursive=True):
                if any(word.endswith("nst-daemon.py") for word in each.cmdline()):
                    each.kill()
            wait_for(lambda: _state(home) is JobState.CANCELLED, seconds=20)
            wait_for(lambda: studio.files() == [], seconds=5)
        finally:
            process.kill()
            process.communicate()
    (job,) = jobs_of(home).values()
    assert job.error == "the editor has gone"


def _state(home: Path) -> JobState | None:  # noqa: F811
    return next((job.state for job in jobs_of(home).values()), None)


def test_an_order_that_the_daemon_gave_up_is_told(studio: Studio, wait_for: Callable[..., None]) -> None:
    picture(studio.folder / "photo.tif")
    process = studio.gimp.start("""
    image = opened("photo.tif")
    say(paint(image))
""")
    try:
        wait_for(lambda: any(name.endswith(".yaml") for name in studio.files()), seconds=200)
        (slip,) = Exchange(studio.exchange).slips()
        clear(slip)
    finally:
        said = heard(process, studio.folder)
    assert said.lines[0].startswith("execution-error: nst-daemon has given this up")
    assert studio.files() == []


def test_only_results_inside_the_outbox_are_opened(studio: Studio) -> None:
    picture(studio.folder / "photo.tif")
    out = studio.exchange / "out"
    for target in (studio.folder / "secret.tif", out / "gimp" / "painting.xcf", out / "secret.tif"):
        picture(studio.folder / "photo.tif").replace(target)
    picture(studio.folder / "photo.tif")
    results = (
        str(studio.gimp.seen(studio.folder / "secret.tif")),
        "out/gimp/../secret.tif",
        "../secret.tif",
        "out/gimp/painting.xcf",
        "out/gimp/missing.tif",
    )
    with answering(studio.exchange / "in" / "gimp", results):
        lines, _ = studio.run(f"""
    image = opened("photo.tif")
    for _ in range({len(results)}):
        say(paint(image)[:15], names(image))
""")
    assert lines == ["execution-error ['Background']"] * len(results)
    assert (studio.folder / "secret.tif").exists()


@contextmanager
def answering(folder: Path, results: tuple[str, ...]) -> Iterator[None]:
    """Answer one order after another as a hostile daemon would."""
    is_over = threading.Event()

    def answer() -> None:
        left = list(results)
        known: set[Path] = set()
        while left and not is_over.wait(0.05):
            for sidecar in set(folder.glob("*.yaml")) - known:
                known.add(sidecar)
                status = sidecar.with_suffix(".status")
                status.write_text(f"nst=1\nfuture=1\nstate=done\nresult={left.pop(0)}\n")

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
