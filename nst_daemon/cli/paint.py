"""The commands that paint by themselves: render, demo."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nst_daemon import disk
from nst_daemon.cli.common import (
    ConfigOption,
    SetOption,
    answer,
    config_if_any,
    ledger_of,
    progress_shown,
    say,
    snapshots_shown,
)
from nst_daemon.config.blends import Blend, Regions
from nst_daemon.config.orders import Order, Painting
from nst_daemon.config.recipe import Areas, Format, Style
from nst_daemon.errors import ConfigError, ExitCode, MissingError, PhotoError
from nst_daemon.images.endings import RESULTS, ending_of
from nst_daemon.ledger.jobs import JobState

if TYPE_CHECKING:
    from nst_daemon.config import Config
    from nst_daemon.engine.process import EngineProcess
    from nst_daemon.intake.inspection import Readable

SAMPLE: Final = Path(__file__).parent.parent / "bundled" / "sample"
DEMO_SETTINGS: Final = {"size": 384, "steps": 55}  # under three minutes on two slow CPU cores
FORMATS: Final = {ending: Format(name) for name, endings in RESULTS.items() for ending in endings}

PhotoArgument = Annotated[Path, typer.Argument(metavar="PHOTO", help="A picture file.")]


def render(
    photo: PhotoArgument,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="The ending decides the format.")
    ],
    style: Annotated[
        str | None, typer.Option("--style", help="A style of the library, or a picture file.")
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option("--like", metavar="RESULT", help="A painting of ours: its style and settings."),
    ] = None,
    settings: SetOption = None,
    config: ConfigOption = None,
) -> None:
    """Paint one picture now, without the daemon. A mask beside the photo counts, and its sidecar's style.

    Example: nst-daemon render cat.jpg --style mosaic -o cat.mosaic.png --set size=800
    """
    from nst_daemon.config import parse_assignments
    from nst_daemon.folders import outbox

    over = parse_assignments(settings or [])
    loaded = config_if_any(config)
    form = FORMATS.get(ending_of(output.name))
    if form is None or disk.is_folder(output):
        raise ConfigError(f"{output}: the name must end in one of {', '.join(FORMATS)}.")
    photo = existing(photo)
    with engine_of(loaded) as engine, tempfile.TemporaryDirectory(prefix="nst-daemon-") as folder:
        order = order_for(photo, Path(folder), style, like, {**over, "format": form}, loaded)
        painting = paint(engine, order)
        if FORMATS.get(painting.picture.suffix) is not form:  # what could not be written: a note says why
            output = output.with_suffix(painting.picture.suffix)
        outbox.publish(painting.picture, output)
        if painting.report is not None:
            outbox.publish(painting.report, outbox.report_target(output))
    for note in painting.notes:
        say(note)
    answer(str(output))


def order_for(
    photo: Path,
    folder: Path,
    style: str | None,
    like: Path | None,
    over: dict[str, object],
    config: "Config | None",
) -> Order:
    """Return what `render` shall paint, in a folder of its own.

    Style: the one that is named, that of the painting to be like, or the sidecar's. Settings: the config's,
    or the painting's; over them the sidecar's, where it gives the style, and those that are named.

    Raises:
        ConfigError: no style was named, or one that is not there.
    """
    from nst_daemon.config.recipe import resolve
    from nst_daemon.folders.sidecars import find_sidecar
    from nst_daemon.images import provenance

    known = dict(config.folders[0].set) if config else {}
    sidecar = find_sidecar(photo)
    regions: Regions = ()
    if like is not None:
        weights = config.engine.weights if config else "original"
        model = provenance.likeness(provenance_of(like, config), weights=weights)
        known = dict(model.settings)
        styles = chosen_styles(style, config) if style else blended(model.blend, config)
        for note in model.notes(styles):
            say(f"{like.name}: {note}")
    elif style is not None:
        styles = chosen_styles(style, config)
    elif sidecar is not None and sidecar.style is not None:
        styles, regions, known = blended(sidecar.style, config), sidecar.regions, {**known, **sidecar.set}
    else:
        raise ConfigError("No style was named.", remedy="Add --style NAME, or --like RESULT.")
    return Order(
        job=0,
        photo=photo,
        photo_name=photo.name,
        styles=styles,
        recipe=resolve({**known, **over}),
        result=folder / "result",
        areas=areas_beside(photo, regions, folder, config),
    )


def provenance_of(result: Path, config: "Config | None") -> Mapping[str, str]:
    """Return what a painting of ours says of itself.

    Raises:
        ConfigError: it is none.
    """
    said = readable_photo(existing(result), config).provenance
    if said is None:
        raise ConfigError(f"{result} is no painting of ours: it does not say how it was made.")
    return said


def areas_beside(photo: Path, regions: Regions, folder: Path, config: "Config | None") -> Areas:
    """Return where a photo is painted, by the masks beside it."""
    from nst_daemon.folders.library import Library
    from nst_daemon.intake import submission

    library = Library(config.styles if config else None)
    return submission.areas_for(photo, regions, library=library, folder=folder)


def paint(engine: "EngineProcess", order: Order, should_stop: Callable[[], bool] = lambda: False) -> Painting:
    """Paint an order, with the progress shown on stderr."""
    with progress_shown(f"{order.photo_name} in {' + '.join(s.name for s in order.styles)}") as show:
        return engine.paint(order, on_progress=show, should_stop=should_stop)


@contextmanager
def engine_of(config: "Config | None") -> Iterator["EngineProcess"]:
    """Yield an engine as the config wants it, and end it."""
    from nst_daemon.engine.process import EngineProcess
    from nst_daemon.engine.settings import settings_of

    engine = EngineProcess(settings_of(config))
    try:
        yield engine
    finally:
        engine.end()


def style_blend(style: str | None) -> Blend | None:
    """Return `--style`: a name, or a list as in a sidecar: "[mosaic, {etching: 0.4}]".

    Raises:
        ConfigError: it is no name and no such list.
    """
    from nst_daemon.config.blends import blend_of
    from nst_daemon.config.text import read

    if style is None:
        return None
    try:
        return blend_of(read(style, "--style").value)
    except ValueError as error:
        raise ConfigError(f"--style {style}: {error}.", remedy="`nst-daemon styles` lists them.") from error


def chosen_styles(style: str, config: "Config | None") -> tuple[Style, ...]:
    """Return the style pictures that `render --style` names; a file of one's own will do."""
    from nst_daemon.disk.files import file_sha256
    from nst_daemon.images.endings import is_picture

    path = Path(style).expanduser()
    if is_picture(path.name) and disk.is_file(path, follow=True):
        sha256 = file_sha256(path)
        return (Style(name=path.stem, path=path.absolute(), sha256=sha256),)
    blend = style_blend(style)
    assert blend is not None  # `style` is text
    return blended(blend, config)


def blended(blend: Blend, config: "Config | None") -> tuple[Style, ...]:
    """Return the pictures of a blend."""
    from nst_daemon.folders.library import Library
    from nst_daemon.intake.submission import known_styles

    return known_styles(blend, Library(config.styles if config else None))


def existing(photo: Path) -> Path:
    """Return the absolute path of a photo that is there.

    Raises:
        ConfigError: it is not.
    """
    path = photo.expanduser().absolute()
    if not disk.is_file(path, follow=True):
        raise ConfigError(f"{photo}: there is no such photo.")
    return path


def readable_photo(photo: Path, config: "Config | None") -> "Readable":
    """Return what a photo is and says; it is read in a process of its own.

    Raises:
        PhotoError: it cannot be read.
    """
    from nst_daemon.intake.inspection import Unreadable
    from nst_daemon.intake.reader import PhotoReader

    with PhotoReader(max_megapixels=config.max_megapixels) if config else PhotoReader() as reader:
        inspection = reader.inspect(photo)
    if isinstance(inspection, Unreadable):
        raise PhotoError(inspection.reason, remedy=inspection.remedy)
    return inspection


def demo(
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where; else a new ./nst-daemon-demo.")
    ] = None,
) -> None:
    """Paint a sample photo through inbox, daemon and outbox, offline; prints where the picture is.

    Example: nst-daemon demo --dir /tmp/demo
    """
    from nst_daemon.cli import setup as cli_setup
    from nst_daemon.config import load
    from nst_daemon.daemon.daemon import Daemon
    from nst_daemon.disk.files import copy_whole

    root = cli_setup.new_folder(Path("nst-daemon-demo")) if folder is None else folder.expanduser()
    root = root.absolute()
    changes: dict[str, object] = {f"set.{key}": value for key, value in DEMO_SETTINGS.items()}
    changes |= {"state_dir": "state", "tray": "off", "watch.settle_seconds": 0.5, "watch.sidecar_seconds": 0}
    config = load(cli_setup.make(root / "config.yaml", root, changes))
    photo = sample_photo()
    inbox = config.folders[0].inbox
    copy_whole(photo, inbox / photo.name, replace=True)
    say(f"Put {photo.name} into {inbox}; painting it. This takes a minute or two on a CPU.")
    with snapshots_shown() as show:
        code = Daemon(config).run(once=True, on_change=show)
    with ledger_of(config) as ledger:
        done = ledger.jobs.all(state=JobState.DONE, limit=1)
    if not done:
        raise typer.Exit(code or ExitCode.JOB_FAILED)
    say("Here is the picture:")
    answer(str(done[0].result))
    say(f"Look into {root}: drop a photo into inbox, then `nst-daemon run --config {config.source}`.")


def sample_photo() -> Path:
    """Return the photo that the package brings.

    Raises:
        MissingError: the package was installed without it.
    """
    photos = [entry.path for entry in disk.entries_of(SAMPLE) if entry.name.endswith(".jpg")]
    if not photos:
        raise MissingError(f"There is no sample photo in {SAMPLE}.", remedy="Install the package again.")
    return photos[0]
