"""GIMP 2.10 itself, with our plug-in, against a real daemon with the real network, small."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.desktops import screen
from support.gimp import Gimp2, gimp2_profile, heard, scheme  # noqa: F401
from support.matrix import PROFILES
from support.real import home, jobs_of, picture, running  # noqa: F401  # a fixture
from support.windows import Windows, undo_and_redo

from nst_daemon.editors.plug_ins import SOURCES
from nst_daemon.folders.exchange import Exchange
from nst_daemon.ledger.jobs import JobState

pytestmark = [pytest.mark.xdist_group("editors"), pytest.mark.timeout(600)]

SOURCE = SOURCES / "gimp2" / "nst-daemon.scm"
PHOTO = '(define image (opened (string-append folder "/photo.tif")))'


@pytest.fixture
def place(home: Path, tmp_path: Path) -> Path:  # noqa: F811
    """Return a folder of an awkward name, with an exchange folder that the daemon of `home` answers."""
    folder = tmp_path / 'Jörg\'s  "pictures"'
    folder.mkdir()
    Exchange(exchange_of(folder)).make()
    config = home / "config.yaml"
    config.write_text(config.read_text() + f"exchange: {scheme(exchange_of(folder))}\n")
    return folder


def exchange_of(folder: Path) -> Path:
    return folder / "the exchange ü"


def files_of(place: Path) -> list[str]:
    return sorted(
        path.name
        for way in ("in", "out")
        for path in (exchange_of(place) / way / "gimp").glob("*")
        if path.is_file()
    )


def pixels(path: Path, mode: str = "RGB") -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    with Image.open(path) as image:
        return np.asarray(image.convert(mode)).astype(np.int64)


class Studio:
    """GIMP in that place. Styles have to be known before it starts."""

    def __init__(self, place: Path, first: Path, wait_for: Callable[..., None]) -> None:
        self.place = place
        self._wait_for = wait_for
        self.gimp = Gimp2(place, first)
        self.gimp.install(exchange_of(place))

    def run(self, script: str, *, styles: bool = True) -> tuple[list[str], str]:
        if styles:
            self._wait_for((exchange_of(self.place) / "styles.txt").exists, what="the list of styles")
        said = self.gimp.run(f"(define folder {scheme(self.place)})\n{script}")
        assert said.faults == []
        return said.lines, said.messages


@pytest.fixture
def studio(place: Path, gimp2_profile: Path, wait_for: Callable[..., None]) -> Studio:  # noqa: F811
    return Studio(place, gimp2_profile, wait_for)


def test_a_painting_comes_back_as_a_layer_above_the_active_one(home: Path, studio: Studio) -> None:  # noqa: F811
    picture(studio.place / "photo.tif")
    with running(home):
        lines, messages = studio.run(f"""{PHOTO}
            (define top (car (gimp-layer-copy (car (gimp-image-get-active-layer image)) FALSE)))
            (gimp-image-insert-layer image top 0 0)
            (gimp-item-set-visible top FALSE)
            (gimp-item-set-name top "top")
            (gimp-image-set-active-layer image (cadr (layers image)))
            (paint image "stripes" "original" 0 100 "ignored")
            (gimp-image-clean-all image)
            (say (until-done image))
            (nst-daemon-fetch)
            (say (map name-of (layers image)))
            (define layer (cadr (layers image)))
            (say (gimp-drawable-offsets layer) (gimp-drawable-width layer) (gimp-drawable-height layer))
            (say (gimp-layer-get-mask layer))
            (say (nst-orders-of image))
            (say (gimp-image-is-dirty image))
            (saved image layer (string-append folder "/layer.tif"))""")

    assert lines[:2] == ["(done)", "(top stripes Background)"]
    assert lines[2:] == ["(0 0) (64) (48)", "(-1)", "()", "(1)"]
    assert messages.startswith("photo.tif is being painted in stripes. Choose Filters")
    assert files_of(studio.place) == []
    assert pixels(studio.place / "layer.tif").shape == (48, 64, 3)
    (job,) = jobs_of(home).values()
    assert (job.photo, job.style) == ("photo.tif", "stripes")


def test_sixteen_bits_and_a_wide_profile_are_kept(home: Path, studio: Studio) -> None:  # noqa: F811
    """At a strength of 0 the painting is the photo: what comes back has to be what went out."""
    grey = np.linspace(8000, 60000, 48 * 64).reshape(48, 64, 1)
    tint = np.random.default_rng(7).uniform(-500, 500, (48, 64, 3))  # few enough that sRGB has them all
    deep = (grey + tint).astype(np.uint16)
    profile = PROFILES["prophoto"]
    tifffile.imwrite(studio.place / "photo.tif", deep, photometric="rgb", iccprofile=profile)
    with running(home):
        lines, _ = studio.run(f"""{PHOTO}
            (paint image "stripes" "original" 0 0 "ignored")
            (say (until-done image))
            (nst-daemon-fetch)
            (say (gimp-image-get-precision image) (map name-of (layers image)))
            (saved image (car (layers image)) (string-append folder "/layer.tif"))""")

    assert lines == ["(done)", "(250) (stripes Background)"]
    with tifffile.TiffFile(studio.place / "layer.tif") as file:
        page = file.pages.first
        assert page.tags["InterColorProfile"].value == profile
        back = page.asarray()
    assert back.dtype == np.uint16
    assert len(np.unique(back)) > 4000  # not 8 bits in disguise
    assert int(np.abs(back.astype(int) - deep).max()) <= 4


def test_transparency_groups_and_layers_off_the_origin_come_back_as_they_look(
    home: Path,  # noqa: F811
    studio: Studio,
) -> None:
    clear = np.zeros((48, 64, 4), np.uint8)
    clear[8:40, 8:40] = (200, 100, 50, 255)
    clear[8:40, 20:30, 3] = 128
    Image.fromarray(clear).save(studio.place / "photo.tif")
    with running(home):
        lines, _ = studio.run(f"""{PHOTO}
            (define group (car (gimp-layer-group-new image)))
            (gimp-image-insert-layer image group 0 0)
            (gimp-image-reorder-item image (cadr (layers image)) group 0)
            (define small (car (gimp-layer-new image 10 10 RGB-IMAGE "small" 100 LAYER-MODE-NORMAL)))
            (gimp-image-insert-layer image small group 0)
            (gimp-drawable-fill small FILL-WHITE)
            (gimp-layer-set-offsets small 50 30)
            (gimp-image-set-active-layer image small)
            (paint image "stripes" "original" 0 0 "ignored")
            (say (until-done image))
            (nst-daemon-fetch)
            (define layer (car (gimp-image-get-active-layer image)))
            (say (name-of layer) (car (gimp-item-get-parent layer)) group (gimp-drawable-offsets layer))
            (gimp-image-reorder-item image layer 0 0)
            (saved image layer (string-append folder "/layer.tif"))""")

    name, parent, group, offsets = lines[1].split(" ", 3)
    assert (name, parent, offsets) == ("stripes", group, "(0 0)")
    clear[30:40, 50:60] = 255
    back = pixels(studio.place / "layer.tif", "RGBA")
    assert int(np.abs(back[..., 3] - clear[..., 3]).max()) <= 1
    assert int(np.abs(back - clear)[clear[..., 3] == 255].max()) <= 2


def grey_picture(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Make a picture of greys, and return them."""
    with Image.open(picture(path)) as image:
        image.convert("L").save(path)
    return pixels(path, "L")


def test_a_grey_image_gets_a_grey_layer_with_its_mask(home: Path, studio: Studio) -> None:  # noqa: F811
    grey = grey_picture(studio.place / "photo.tif")
    with running(home):
        lines, _ = studio.run(f"""{PHOTO}
            (say (gimp-image-base-type image))
            (gimp-image-select-ellipse image CHANNEL-OP-REPLACE 10 8 40 30)
            (paint image "stripes" "original" 0 0 "layer-mask")
            (say (until-done image))
            (nst-daemon-fetch)
            (define layer (car (layers image)))
            (say (map name-of (layers image)) (gimp-drawable-is-gray layer))
            (say (= (car (gimp-layer-get-mask layer)) -1))
            (gimp-layer-remove-mask layer MASK-DISCARD)
            (saved image layer (string-append folder "/layer.tif"))""")
    assert lines == ["(1)", "(done)", "(stripes Background) (1)", "#f"]
    with Image.open(studio.place / "layer.tif") as image:
        assert image.mode == "L"
    assert int(np.abs(pixels(studio.place / "layer.tif", "L") - grey).max()) <= 2
    assert files_of(studio.place) == []


def test_an_image_that_is_indexed_gets_an_indexed_layer_with_its_mask(home: Path, studio: Studio) -> None:  # noqa: F811
    """GIMP's menu does not offer it for one. A script may, or the image became so meanwhile."""
    picture(studio.place / "photo.tif")
    with running(home):
        lines, messages = studio.run(f"""{PHOTO}
            (gimp-image-convert-indexed image CONVERT-DITHER-NONE CONVERT-PALETTE-GENERATE 16 FALSE FALSE "")
            (gimp-context-set-feather TRUE)
            (gimp-context-set-feather-radius 6 6)
            (gimp-image-select-ellipse image CHANNEL-OP-REPLACE 10 8 40 30)
            (paint image "stripes" "px" 32 100 "layer-mask")
            (say (until-done image))
            (nst-daemon-fetch)
            (define layer (car (layers image)))
            (say (map name-of (layers image)) (gimp-drawable-is-indexed layer))
            (saved-mask layer (string-append folder "/mask.tif"))
            (define again (car (gimp-layer-create-mask layer ADD-MASK-SELECTION)))
            (gimp-layer-remove-mask layer MASK-DISCARD)
            (gimp-layer-add-mask layer again)
            (saved-mask layer (string-append folder "/wanted.tif"))""")

    assert lines == ["(done)", "(stripes Background) (1)"]
    assert "stripes was painted at 32 × 24 px and is scaled to the image, 64 × 48 px." in messages
    mask, wanted = (pixels(studio.place / name, "L") for name in ("mask.tif", "wanted.tif"))
    assert int(np.abs(mask - wanted).max()) <= 1
    assert files_of(studio.place) == []


def test_a_selection_becomes_the_mask_of_the_layer(home: Path, studio: Studio) -> None:  # noqa: F811
    picture(studio.place / "photo.tif")
    with running(home):
        lines, messages = studio.run(f"""{PHOTO}
            (gimp-context-set-feather TRUE)
            (gimp-context-set-feather-radius 6 6)
            (gimp-image-select-ellipse image CHANNEL-OP-REPLACE 10 8 40 30)
            (define channel (car (gimp-selection-save image)))
            (define wanted (car (gimp-layer-new-from-drawable channel image)))
            (paint image "stripes" "px" 32 100 "layer-mask")
            (gimp-selection-none image)
            (say (until-done image))
            (nst-daemon-fetch)
            (define layer (car (layers image)))
            (say (map name-of (layers image)) (gimp-layer-get-edit-mask layer))
            (saved-mask layer (string-append folder "/mask.tif"))
            (gimp-image-remove-channel image channel)
            (gimp-image-select-ellipse image CHANNEL-OP-REPLACE 10 8 40 30)
            (define again (car (gimp-layer-create-mask layer ADD-MASK-SELECTION)))
            (gimp-layer-remove-mask layer MASK-DISCARD)
            (gimp-layer-add-mask layer again)
            (saved-mask layer (string-append folder "/wanted.tif"))""")

    assert lines == ["(done)", "(stripes Background) (0)"]
    assert "stripes was painted at 32 × 24 px and is scaled to the image, 64 × 48 px." in messages
    mask, wanted = (pixels(studio.place / name, "L") for name in ("mask.tif", "wanted.tif"))
    assert len(np.unique(wanted)) > 20  # it has soft edges
    assert int(np.abs(mask - wanted).max()) <= 1
    assert files_of(studio.place) == []


def test_one_undo_takes_a_painting_away_and_one_redo_brings_it_back(
    home: Path,  # noqa: F811
    studio: Studio,
    wait_for: Callable[..., None],
) -> None:
    """With all that may belong to it: a layer that was scaled and has a mask. What was before it stays."""
    picture(studio.place / "photo.tif")
    script = f"""(define folder {scheme(studio.place)})
        {PHOTO}
        (gimp-display-new image)
        (gimp-image-select-ellipse image CHANNEL-OP-REPLACE 10 8 40 30)
        (paint image "stripes" "px" 32 100 "layer-mask")
        (until-done image)
        (nst-daemon-fetch)
        (define (mask-of layer) (<> (car (gimp-layer-get-mask layer)) -1))
        (define (state)
          (list (map (lambda (layer) (list (name-of layer) (mask-of layer))) (layers image))
                (= (car (gimp-selection-is-empty image)) FALSE)))
        (let loop ((left 2400) (before '()))
          (let* ((now (state))
                 ; not half before an undo and half behind it
                 (is-new (and (not (equal? now before)) (equal? now (state)))))
            (if is-new (say now))
            (if (and (> left 0) (not (file-exists? (string-append folder "/enough"))))
              (begin (usleep 50000) (loop (- left 1) (if is-new now before))))))"""

    with running(home), screen("640x480") as display:
        windows, said = Windows(display, (640, 480)), studio.place / "said.txt"
        wait_for((exchange_of(studio.place) / "styles.txt").exists, what="the list of styles")
        process = studio.gimp.start(script, display)
        try:
            undo_and_redo(windows, said)
        finally:
            (studio.place / "enough").touch()
            heard(process, studio.place)

    painted = "(((stripes #t) (Background #f)) #t)"
    assert said.read_text().splitlines() == [painted, "(((Background #f)) #t)", painted]


def test_only_what_is_selected_is_painted(home: Path, studio: Studio) -> None:  # noqa: F811
    picture(studio.place / "photo.tif")
    before = pixels(studio.place / "photo.tif")
    with running(home):
        lines, _ = studio.run(f"""{PHOTO}
            (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 0 0 32 48)
            (paint image "stripes" "original" 0 100 "mask")
            (say (until-done image))
            (nst-daemon-fetch)
            (say (gimp-layer-get-mask (car (layers image))))
            (saved image (car (layers image)) (string-append folder "/layer.tif"))""")

    assert lines == ["(done)", "(-1)"]
    after = pixels(studio.place / "layer.tif")
    assert int(np.abs(after - before)[:, 33:].max()) <= 2
    assert int(np.abs(after - before)[:, :31].mean()) > 3


def test_half_selected_is_half_of_the_daemons_mask(studio: Studio) -> None:
    picture(studio.place / "photo.tif")
    (exchange_of(studio.place) / "styles.txt").write_text("stripes\t\n")
    lines, messages = studio.run(f"""{PHOTO}
        (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 0 0 32 48)
        (define half (car (gimp-selection-save image)))
        (gimp-channel-set-opacity half 50)
        (gimp-selection-none image)
        (define layer (car (gimp-layer-new image 64 48 RGBA-IMAGE "half" 100 LAYER-MODE-NORMAL)))
        (gimp-image-insert-layer image layer 0 0)
        (gimp-drawable-fill layer FILL-WHITE)
        (gimp-layer-set-opacity layer 50)
        (define flat (car (gimp-layer-new-from-visible image image "flat")))
        (gimp-context-set-opacity 50)
        (gimp-drawable-fill layer FILL-TRANSPARENT)
        (gimp-context-set-paint-mode LAYER-MODE-NORMAL-LEGACY)
        (gimp-drawable-edit-fill layer FILL-WHITE)
        (gimp-image-select-item image CHANNEL-OP-REPLACE layer)
        (say (gimp-selection-value image 5 5))
        (paint image "stripes" "configured" 0 100 "mask")""")

    (mask,) = (exchange_of(studio.place) / "in" / "gimp").glob("*.tif.mask.png")
    grey = pixels(mask, "L")
    value = int(lines[0].strip("()"))
    assert 120 < value < 136
    assert np.abs(grey - value).max() <= 1
    assert "nst-daemon is not running" in messages


def test_two_images_of_one_name_get_their_own_paintings(home: Path, studio: Studio) -> None:  # noqa: F811
    title = 'it\'s "one" & the same: ü\\.tif'
    for number in (1, 2):
        picture(studio.place / str(number) / title, seed=number)
    with running(home):
        lines, _ = studio.run(f"""
            (define first (opened (string-append folder "/1/" {scheme(title)})))
            (define second (opened (string-append folder "/2/" {scheme(title)})))
            (paint first "stripes" "original" 0 0 "ignored")
            (paint second "stripes" "original" 0 0 "ignored")
            (say (until-done first) (until-done second))
            (nst-daemon-fetch)
            (saved first (car (layers first)) (string-append folder "/1.tif"))
            (saved second (car (layers second)) (string-append folder "/2.tif"))
            (say (map name-of (layers first)) (length (layers second)))""")

    assert lines[0] == "(done) (done)"
    assert lines[1].startswith("(stripes ")
    assert lines[1].endswith(" 2")
    assert set(jobs_of(home)) == {title}
    for number in (1, 2):
        before = pixels(studio.place / str(number) / title)
        after = pixels(studio.place / f"{number}.tif")
        assert int(np.abs(after - before).max()) <= 2


def test_cancel_ends_the_work(home: Path, studio: Studio) -> None:  # noqa: F811
    config = home / "config.yaml"
    config.write_text(config.read_text().replace("steps: 3", "steps: 90000"))
    picture(studio.place / "photo.tif")
    with running(home):
        lines, messages = studio.run(f"""{PHOTO}
            (paint image "stripes" "original" 0 100 "ignored")
            (say (until-state (car (nst-orders-of image)) "running"))
            (nst-daemon-fetch)
            (nst-daemon-cancel image (car (gimp-image-get-active-drawable image)))
            (say (nst-orders-of image) (length (layers image)))
            (nst-daemon-cancel image (car (gimp-image-get-active-drawable image)))
            (nst-daemon-fetch)""")

    assert lines == ["running", "() 1"]
    assert re.search(r"photo.tif in stripes: running, \d+ %", messages)
    assert "stripes is cancelled." in messages
    assert "Nothing of photo.tif is being painted." in messages
    assert "Nothing is being painted. Choose Filters" in messages
    assert files_of(studio.place) == []
    (job,) = jobs_of(home).values()
    assert (job.state, job.error) == (JobState.CANCELLED, "cancelled in the editor")


def test_what_went_wrong_is_said_with_its_remedy(home: Path, studio: Studio) -> None:  # noqa: F811
    picture(studio.place / "photo.tif")
    picture(studio.place / "tiny.tif", size=(8, 8))
    styles = exchange_of(studio.place) / "styles.txt"
    styles.write_text("stripes\t\nno_such_style\t\n")
    with running(home):
        lines, messages = studio.run(f"""{PHOTO}
            (set! nst-styles '("stripes" "no_such_style"))
            (define tiny (opened (string-append folder "/tiny.tif")))
            (paint tiny "stripes" "original" 0 100 "ignored")
            (say (until-done tiny))
            (nst-daemon-fetch)
            (paint image "no_such_style" "original" 0 100 "ignored")
            (say (until-state (car (nst-orders-of image)) "held"))
            (nst-daemon-fetch)
            (say (length (layers tiny)) (length (nst-orders-of tiny)) (length (nst-orders-of image)))
            (nst-daemon-cancel image (car (gimp-image-get-active-drawable image)))""")

    assert lines == ["(failed)", "held", "1 0 1"]
    assert re.search(r"tiny\.tif in stripes: failed\. .*8.*16", messages)
    assert re.search(r"photo\.tif in no_such_style: held\. .*no_such_style", messages)
    assert files_of(studio.place) == []


def test_without_a_daemon_the_picture_waits_and_is_fetched_by_the_next_gimp(
    home: Path,  # noqa: F811
    studio: Studio,
    wait_for: Callable[..., None],
) -> None:
    picture(studio.place / "photo.tif")
    picture(studio.place / "closed.tif", seed=1)
    (exchange_of(studio.place) / "styles.txt").write_text("stripes\t\n")
    lines, messages = studio.run(f"""{PHOTO}
        (define closed (opened (string-append folder "/closed.tif")))
        (paint image "stripes" "px" 32 100 "ignored")
        (gimp-xcf-save RUN-NONINTERACTIVE image 0 (string-append folder "/kept.xcf") "kept.xcf")
        (paint closed "stripes" "original" 0 100 "ignored")
        (nst-daemon-fetch)""")
    said = 'nst-daemon is not running: start it with "nst-daemon start".'
    assert messages.count(said + " The picture waits, and will be painted.") == 2
    assert f"photo.tif in stripes waits. {said}" in messages

    with running(home):
        wait_for(lambda: len(list((exchange_of(studio.place) / "out" / "gimp").glob("*"))) == 2, seconds=60)
        wait_for(
            lambda: all("state=done" in path.read_text() for path in _statuses(studio.place)), seconds=20
        )
    lines, messages = studio.run("""
        (define image (opened (string-append folder "/kept.xcf")))
        (gimp-image-crop image 60 30 0 0)
        (nst-daemon-fetch)
        (say (map name-of (layers image)) (gimp-drawable-width (car (layers image))))
        (define other (car (vector->list (cadr (gimp-image-list)))))
        (say (map name-of (layers other)) (gimp-image-width other))""")
    assert lines == ["(stripes Background) (60)", "(stripes) (64)"]
    assert (
        "stripes was painted at 32 × 24 px and is scaled to the image, 60 × 30 px, which had 64 × 48 px "
        "when it was sent."
    ) in messages
    assert "closed.tif is not open any more: its painting in stripes is an image of its own." in messages
    assert files_of(studio.place) == []


def _statuses(place: Path) -> list[Path]:
    return list((exchange_of(place) / "in" / "gimp").glob("*.status"))


def test_only_results_inside_the_outbox_are_opened(studio: Studio) -> None:
    picture(studio.place / "photo.tif")
    out = exchange_of(studio.place) / "out" / "gimp"
    for target in (studio.place / "secret.tif", out / "painting.xcf", out.parent / "secret.tif"):
        shutil.copy(studio.place / "photo.tif", target)
    (exchange_of(studio.place) / "styles.txt").write_text("stripes\t\n")
    results = (
        os.fspath(studio.place / "secret.tif"),
        "out/gimp/../secret.tif",
        "../secret.tif",
        "out/gimp/painting.xcf",
        "out/gimp/missing.tif",
    )
    lines, _ = studio.run(f"""{PHOTO}
        (paint image "stripes" "original" 0 100 "ignored")
        (define id (car (nst-orders-of image)))
        (for-each
          (lambda (result)
            (nst-write (string-append (nst-photo id) ".status")
                       (string-append "nst=1\\nstate=done\\nfuture=1\\nresult=" result "\\n"))
            (nst-daemon-fetch)
            (say (length (layers image))))
          (list {" ".join(map(scheme, results))}))""")
    assert lines == ["1"] * len(results)
    assert (studio.place / "secret.tif").exists()


def test_gimp_that_is_killed_leaves_nothing_but_its_order(
    home: Path,  # noqa: F811
    studio: Studio,
    wait_for: Callable[..., None],
) -> None:
    """Nobody has to wait in GIMP 2.10: the painting is there for whoever comes next."""
    picture(studio.place / "photo.tif")
    with running(home):
        wait_for((exchange_of(studio.place) / "styles.txt").exists)
        process = studio.gimp.start(f"""(define folder {scheme(studio.place)}) {PHOTO}
            (paint image "stripes" "original" 0 100 "ignored")
            (usleep 60000000)""")
        wait_for(lambda: _statuses(studio.place), seconds=200)
        process.kill()
        process.communicate()
        wait_for(
            lambda: any("state=done" in path.read_text() for path in _statuses(studio.place)), seconds=100
        )
        lines, messages = studio.run("(nst-daemon-fetch) (say (car (gimp-image-list)))")
    assert lines == ["1"]
    assert "photo.tif is not open any more" in messages
    assert files_of(studio.place) == []


def test_the_last_choice_is_the_first_of_the_next_session(studio: Studio) -> None:
    picture(studio.place / "photo.tif")
    (exchange_of(studio.place) / "styles.txt").write_text("a\t\nb\t\nmy ü style\t\n", encoding="utf-8")
    studio.run(f'{PHOTO} (paint image "my ü style" "px" 333 70 "mask")')
    lines, _ = studio.run("(say nst-styles (map car nst-sizes) (nst-chosen 2 0) (nst-chosen 3 0))")
    assert lines == ["(my ü style a b) (px configured original) 333 70"]


# ── without GIMP ────────────────────────────────────────────────────────────────────────────────────────────


def bare(text: str) -> str:
    """Return Scheme without comments, characters and the insides of its strings."""
    return re.sub(r'"(?:[^"\\]|\\.)*"|#\\.|;[^\n]*', lambda found: '""' if found[0][0] == '"' else "", text)


def test_its_parentheses_are_balanced() -> None:
    depth = 0
    for line in bare(SOURCE.read_text(encoding="utf-8")).splitlines():
        if line.startswith("("):
            assert depth == 0, line
        depth += line.count("(") - line.count(")")
        assert depth >= 0, line
    assert depth == 0


def test_it_is_marked_and_begins_no_process() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    assert text.startswith("; nst-daemon plug-in @VERSION@\n")
    assert text.count('"@EXCHANGE@"') == 1
    names = set(re.findall(r"[^\s()'\"]+", bare(text)))
    assert not names & {"load", "eval", "exec", "system", "popen", "dofile", "socket", "file-rename"}
    assert not {name for name in names if name.startswith(("plug-in-", "python-fu", "extension-"))}
