"""The commands that paint, or say what would be painted: submit, render, styles, explain, demo, bench."""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nst_daemon.cli_common import (
    ConfigOption,
    JsonOption,
    SetOption,
    answer,
    answer_json,
    config_if_any,
    is_running,
    ledger_of,
    load_config,
    progress_shown,
    say,
    snapshots_shown,
    table,
)
from nst_daemon.errors import ConfigError, ExitCode, MissingError, NotRunningError, PhotoError
from nst_daemon.jobs import Job, JobState, Snapshot
from nst_daemon.recipe import Blend, Format, Order, Painting, Preset, Style

if TYPE_CHECKING:
    from nst_daemon.config import Config
    from nst_daemon.engine.process import EngineProcess
    from nst_daemon.inspector import Readable
    from nst_daemon.ledger import Ledger

SAMPLE: Final = Path(__file__).parent / "sample"
DEMO_SETTINGS: Final = {"size": 384, "steps": 150}  # under three minutes on two slow CPU cores
EXTENSIONS: Final = {
    ".jpg": Format.JPEG,
    ".jpeg": Format.JPEG,
    ".png": Format.PNG,
    ".tif": Format.TIFF,
    ".tiff": Format.TIFF,
    ".webp": Format.WEBP,
}

PhotoArgument = Annotated[Path, typer.Argument(metavar="PHOTO", help="A picture file.")]


def submit(
    photo: PhotoArgument,
    style: Annotated[
        str | None, typer.Option("--style", help="A style, instead of the one it would get.")
    ] = None,
    settings: SetOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait, and print the result's path.")] = False,
    config: ConfigOption = None,
) -> None:
    """Hand one photo to the daemon; prints the job's number. The photo stays where it is.

    Example: nst-daemon submit cat.jpg --style mosaic --set size=2048 --wait
    """
    from nst_daemon import submission
    from nst_daemon.config import parse_assignments
    from nst_daemon.library import Library

    over, blend = parse_assignments(settings or []), style_blend(style)
    loaded = load_config(config)
    library = Library(loaded.styles)
    photo = existing(photo)
    readable = inspected(photo, loaded)
    if readable.provenance is not None:
        raise PhotoError(f"{photo.name} is a painting of ours.", remedy="Hand over the photo itself.")
    with ledger_of(loaded) as ledger:
        wish = submission.wish_for(photo, config=loaded, library=library, keywords=readable.keywords)
        choices = submission.choices_of(wish, style=blend, settings=over)
        submitted = submission.submit(
            photo, choices, wish=wish, config=loaded, library=library, ledger=ledger
        )
        for one in submitted:
            if not one.is_new:
                say(f"Job {one.job} does this already.")
        if wait:
            wait_for([one.job for one in submitted], loaded, ledger)
            return
        for one in submitted:
            answer(str(one.job))
        if not is_running(loaded):
            say("The daemon is not running: the job waits for `nst-daemon start`.")


def wait_for(jobs: list[int], config: "Config", ledger: "Ledger") -> None:
    """Print the result's path of each job as it ends; fails if one of them did."""
    is_bad = False
    with snapshots_shown() as show:
        for number in jobs:
            job = _ended(number, config, ledger, show)
            if job.state is JobState.DONE:
                answer(str(job.result))
            else:
                say(f"Job {number} {job.state}: {job.error or 'no reason given'}")
                is_bad = True
    if is_bad:
        raise typer.Exit(ExitCode.JOB_FAILED)


def _ended(number: int, config: "Config", ledger: "Ledger", show: Callable[[Snapshot], None]) -> Job:
    for look in itertools.count():
        job = ledger.job(number)
        if job is None:
            break
        if job.state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED):
            return job
        if look % 10 == 0 and not is_running(config):
            raise NotRunningError(
                f"Job {number} is {job.state}, and no daemon is running.",
                remedy="`nst-daemon start` does what is there; `nst-daemon run --once` too, then leaves.",
            )
        snapshot = ledger.snapshot(running=True)
        show(only(snapshot, number))
        time.sleep(0.2)
    raise ConfigError(f"Job {number} is gone from the ledger.")


def only(snapshot: Snapshot, job: int) -> Snapshot:
    """Return a snapshot that shows one job alone."""
    from dataclasses import replace

    return replace(snapshot, current=tuple(current for current in snapshot.current if current.job == job))


def render(
    photo: PhotoArgument,
    style: Annotated[str, typer.Option("--style", help="A style of the library, or a picture file.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="The ending decides the format.")
    ],
    settings: SetOption = None,
    config: ConfigOption = None,
) -> None:
    """Paint one picture now, without the daemon.

    Example: nst-daemon render cat.jpg --style mosaic -o cat.mosaic.png --set size=800
    """
    from nst_daemon import outbox
    from nst_daemon.config import parse_assignments
    from nst_daemon.recipe import resolve

    over = parse_assignments(settings or [])
    loaded = config_if_any(config)
    known = dict(loaded.folders[0].set) if loaded else {}
    form = EXTENSIONS.get(output.suffix.lower())
    if form is None or output.is_dir():
        raise ConfigError(f"{output}: the name must end in one of {', '.join(EXTENSIONS)}.")
    photo, styles = existing(photo), chosen_styles(style, loaded)
    with engine_of(loaded) as engine, tempfile.TemporaryDirectory(prefix="nst-daemon-") as folder:
        order = Order(
            job=0,
            photo=photo,
            photo_name=photo.name,
            styles=styles,
            recipe=resolve({**known, **over, "format": form}),
            result=Path(folder) / "result",
        )
        painting = paint(engine, order)
        outbox.publish(painting.picture, output)
        if painting.report is not None:
            outbox.publish(painting.report, outbox.report_target(output))
    for note in painting.notes:
        say(note)
    answer(str(output))


def paint(engine: "EngineProcess", order: Order) -> Painting:
    """Paint an order, with the progress shown on stderr."""
    with progress_shown(f"{order.photo_name} in {' + '.join(s.name for s in order.styles)}") as show:
        return engine.paint(order, on_progress=show, should_stop=lambda: False)


@contextmanager
def engine_of(config: "Config | None") -> Iterator["EngineProcess"]:
    """Yield an engine as the config wants it, and end it."""
    from nst_daemon.cli_common import engine_settings
    from nst_daemon.engine.process import EngineProcess

    engine = EngineProcess(engine_settings(config))
    try:
        yield engine
    finally:
        engine.end()


def style_blend(style: str | None) -> Blend | None:
    """Return `--style`: a name, or a list as in a sidecar: "[mosaic, {etching: 0.4}]"."""
    from nst_daemon.config_text import read
    from nst_daemon.recipe import blend_of

    if style is None:
        return None
    try:
        return blend_of(read(style, "--style").value)
    except ValueError as error:
        raise ConfigError(f"--style {style}: {error}.", remedy="`nst-daemon styles` lists them.") from error


def chosen_styles(style: str, config: "Config | None") -> tuple[Style, ...]:
    """Return the style pictures that `render --style` names; a file of one's own will do."""
    import hashlib

    from nst_daemon.library import SUFFIXES, Library
    from nst_daemon.submission import styles_of

    path = Path(style).expanduser()
    if path.suffix.lower() in SUFFIXES and path.is_file():
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return (Style(name=path.stem, path=path.absolute(), sha256=sha256),)
    blend = style_blend(style)
    assert blend is not None  # `style` is text
    return styles_of(blend, Library(config.styles if config else None))


def existing(photo: Path) -> Path:
    """Return the absolute path of a photo that is there."""
    path = photo.expanduser().absolute()
    if not path.is_file():
        raise ConfigError(f"{photo}: there is no such photo.")
    return path


def inspected(photo: Path, config: "Config") -> "Readable":
    """Return what a photo is and says; it is read in a process of its own.

    Raises:
        PhotoError: it cannot be read.
    """
    from nst_daemon.inspector import Inspector, Unreadable

    with Inspector(max_megapixels=config.max_megapixels) as inspector:
        inspection = inspector.inspect(photo)
    if isinstance(inspection, Unreadable):
        raise PhotoError(inspection.reason, remedy=inspection.remedy)
    return inspection


def styles(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the style library: the built-in pictures and your own.

    Example: nst-daemon styles
    """
    from nst_daemon.library import Library

    loaded = config_if_any(config)
    entries = Library(loaded.styles if loaded else None).entries()
    if as_json:
        rows = [{"name": e.name, "path": str(e.path), "builtin": e.is_builtin} for e in entries]
        answer_json(rows)
        return
    table(
        "",
        ["style", "from", "file"],
        [[e.name, "built-in" if e.is_builtin else "yours", str(e.path)] for e in entries],
    )
    if loaded:
        say(f"Every picture in {loaded.styles} is a style as well.")


def explain(photo: PhotoArgument, config: ConfigOption = None) -> None:
    """Say which style and settings a photo would get, and why.

    Example: nst-daemon explain ~/Pictures/inbox/trip/a.jpg
    """
    from nst_daemon.config import absolute
    from nst_daemon.library import Library
    from nst_daemon.pairing import Unpaired, spell_blend
    from nst_daemon.submission import wish_for

    loaded = load_config(config)
    path = absolute(photo)
    keywords: tuple[str, ...] = ()
    if path.is_file():
        readable = inspected(path, loaded)
        keywords = readable.keywords
        if readable.provenance is not None:
            say(f"{photo} is a painting of ours: in an inbox it would be left alone.")
    else:
        say(f"{photo} is not there: explained by its name alone.")
    wish = wish_for(path, config=loaded, library=Library(loaded.styles), keywords=keywords)
    outcome = wish.outcome
    if isinstance(outcome, Unpaired):
        answer(f"{wish.photo} waits: {outcome.reason}")
    else:
        answer(f"{wish.photo} gets {' and '.join(spell_blend(choice.blend) for choice in outcome.choices)}")
    answer(f"  inbox: {wish.folder.inbox}")
    for reason in outcome.reasons:
        answer(f"  {reason}")


def demo(
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where; else a new ./nst-daemon-demo.")
    ] = None,
) -> None:
    """Paint a sample photo through inbox, daemon and outbox, offline; prints where the picture is.

    Example: nst-daemon demo --dir /tmp/demo
    """
    from nst_daemon import cli_setup
    from nst_daemon.config import load
    from nst_daemon.daemon import Daemon

    root = cli_setup.new_folder(Path("nst-daemon-demo")) if folder is None else folder.expanduser()
    root = root.absolute()
    changes: dict[str, object] = {f"set.{key}": value for key, value in DEMO_SETTINGS.items()}
    changes |= {"state_dir": "state", "tray": "off", "watch.settle_seconds": 0.5, "watch.sidecar_seconds": 0}
    config = load(cli_setup.make(root / "config.yaml", root, changes))
    photo = sample_photo()
    inbox = config.folders[0].inbox
    (inbox / photo.name).write_bytes(photo.read_bytes())
    say(f"Put {photo.name} into {inbox}; painting it. This takes a minute or two on a CPU.")
    with snapshots_shown() as show:
        code = Daemon(config).run(once=True, on_change=show)
    with ledger_of(config) as ledger:
        done = ledger.jobs(state=JobState.DONE, limit=1)
    if not done:
        raise typer.Exit(code or ExitCode.JOB_FAILED)
    say("Here is the picture:")
    answer(str(done[0].result))
    say(f"Look into {root}: drop a photo into inbox, then `nst-daemon run --config {config.source}`.")


def sample_photo() -> Path:
    """Return the photo that the package brings."""
    photos = sorted(SAMPLE.glob("*.jpg"))
    if not photos:
        raise MissingError(f"There is no sample photo in {SAMPLE}.", remedy="Install the package again.")
    return photos[0]


def bench(
    config: ConfigOption = None,
    presets: Annotated[list[Preset] | None, typer.Option("--preset", help="Else draft and balanced.")] = None,
    sizes: Annotated[list[int] | None, typer.Option("--size", min=16, help="px; else 256 and 512.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One small picture only.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure the seconds per picture on this machine's device.

    Example: nst-daemon bench --size 512 --preset draft --preset fine
    """
    sizes = sizes or ([128] if quick else [256, 512])
    presets = presets or ([Preset.DRAFT] if quick else [Preset.DRAFT, Preset.BALANCED])
    rows = list(_measured(config_if_any(config), presets, sizes))
    if as_json:
        answer_json(rows)
    else:
        cells = [[str(value) for value in row.values()] for row in rows]
        table("Seconds per picture", list(rows[0]), cells)


def _measured(
    config: "Config | None", presets: list[Preset], sizes: list[int]
) -> Iterator[dict[str, object]]:
    from nst_daemon.config import DEFAULT_STYLE
    from nst_daemon.recipe import resolve

    photo, styles = (
        sample_photo(),
        chosen_styles(config.folders[0].style if config else DEFAULT_STYLE, config),
    )
    with engine_of(config) as engine, tempfile.TemporaryDirectory(prefix="nst-daemon-") as folder:
        for preset in presets:
            for size in sizes:
                order = Order(
                    job=0,
                    photo=photo,
                    photo_name=f"{preset} at {size} px",
                    styles=styles,
                    recipe=resolve({"preset": preset, "size": size}),
                    result=Path(folder) / f"{preset}-{size}",
                )
                painting = paint(engine, order)
                yield {
                    "preset": str(preset),
                    "picture": f"{painting.width} × {painting.height}",
                    "seconds": round(painting.seconds, 1),
                    "first step after": round(painting.seconds_to_first_step, 1),
                    "device": painting.device,
                }
