"""The command that shows one photo in every style, on one page: sheet."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nst_daemon import disk
from nst_daemon.cli import paint as cli_paint
from nst_daemon.cli import submit as cli_submit
from nst_daemon.cli.common import ConfigOption, answer, config_if_any, say, share_shown
from nst_daemon.config.orders import Order, Progress
from nst_daemon.disk.files import written_whole
from nst_daemon.errors import ConfigError, ExitCode, JobError, NstError, PhotoError
from nst_daemon.images.endings import RESULTS, ending_of
from nst_daemon.images.layout import SIDE, Cell, ContactSheet

if TYPE_CHECKING:
    from nst_daemon.config import Config
    from nst_daemon.engine.process import EngineProcess
    from nst_daemon.intake.reader import PhotoReader
    from nst_daemon.intake.sheets import Sketch

FORMATS: Final = {ending: kind for kind in ("png", "jpeg", "webp") for ending in RESULTS[kind]}
LEAST_SIDE, MOST_SIDE = 64, 1024  # px
REST: Final = 5.0  # times as long as the last drawing took: until then the page is not drawn again
LEFT_OUT: Final = "Not painted: it was stopped before."


def sheet(
    photo: cli_paint.PhotoArgument,
    styles: Annotated[
        list[str] | None,
        typer.Option("--styles", metavar="A,B", help="Only these; else every style of the library."),
    ] = None,
    size: Annotated[
        int,
        typer.Option("--size", min=LEAST_SIDE, max=MOST_SIDE, help="Longer side of each picture, in px."),
    ] = SIDE,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="OUT", help=".png, .jpg or .webp; else ./<photo>.sheet.png."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Paint one photo in every style, small, on one page; the styles that suit it best come first.

    Without the daemon. The page is there with its first picture, and grows; Ctrl-C leaves what is there.

    Example: nst-daemon sheet cat.jpg
    Example: nst-daemon sheet cat.jpg --styles mosaic,woodcut --size 384 -o choice.jpg
    """
    from nst_daemon.folders.library import Library
    from nst_daemon.intake import sheets
    from nst_daemon.intake.reader import PhotoReader

    output = output or Path(f"{photo.stem}.sheet.png")
    kind = _kind_of(output)
    loaded = config_if_any(config)
    photo = cli_paint.existing(photo)
    cli_submit.examine(output)
    library = Library(loaded.styles if loaded else None)
    names = sheets.named_styles(styles or [], library)
    with PhotoReader(max_megapixels=loaded.max_megapixels) if loaded else PhotoReader() as reader:
        extent = _extent_of(photo, reader)
        if library.trouble is not None:
            say(f"{library.trouble.message} {library.trouble.remedy}")
        empty = _empty_sheet(photo, extent, size, names)
        asked = sheets.ordered(photo, names, library, reader)
        cells = tuple(Cell(name=each.name, words=each.error) for each in asked)
        page = _Page(replace(empty, cells=cells), output, kind, reader)
        with cli_paint.engine_of(loaded) as engine:
            _fill(page, asked, engine, loaded)
    answer(str(output))
    if page.failed:
        say(f"Without {', '.join(page.failed)}: the page says why.")
        raise typer.Exit(ExitCode.JOB_FAILED)


def _kind_of(output: Path) -> str:
    """Return the format that a page's name asks for.

    Raises:
        ConfigError: none that a page is written in, or there is a folder of this name.
    """
    kind = FORMATS.get(ending_of(output.name))
    if kind is None or disk.is_folder(output):
        raise ConfigError(f"{output}: the name must end in one of {', '.join(FORMATS)}.")
    return kind


def _extent_of(photo: Path, reader: "PhotoReader") -> tuple[int, int]:
    """Return a photo's width and height in px, upright.

    Raises:
        PhotoError: it cannot be read.
    """
    from nst_daemon.intake.inspection import Unreadable

    found = reader.inspect(photo)
    if isinstance(found, Unreadable):
        raise PhotoError(found.reason, remedy=found.remedy)
    return found.width, found.height


def _empty_sheet(photo: Path, extent: tuple[int, int], side: int, names: Sequence[str]) -> ContactSheet:
    """Return the sheet that is to be filled.

    Raises:
        ConfigError: it would be too large to be drawn.
    """
    note = f"{len(names)} styles, the one that suits it best first" if len(names) > 1 else "1 style"
    cells = tuple(Cell(name=name) for name in names)
    sheet = ContactSheet(title=photo.name, note=note, photo=photo, size=extent, side=side, cells=cells)
    if not sheet.layout().fits:
        raise ConfigError(
            f"{len(names)} pictures of {side} px are too many for one page.",
            remedy="Choose a smaller --size, or fewer --styles.",
        )
    return sheet


def _fill(
    page: "_Page", asked: "tuple[Sketch, ...]", engine: "EngineProcess", config: "Config | None"
) -> None:
    """Paint the sketches one after another, and draw the page as they come.

    Raises:
        PhotoError, DaemonError, ConditionError: none can be painted any more; what is there stays.
        KeyboardInterrupt: so it does then.
    """
    from nst_daemon.intake import sheets

    recipe = sheets.sketch_recipe(
        page.sheet.size, config.folders[0].set if config else {}, side=page.sheet.side
    )
    with TemporaryDirectory(prefix="nst-daemon-") as folder, share_shown() as show:
        try:
            for number, sketch in enumerate(asked):
                if sketch.style is not None:
                    order = Order(
                        job=number,
                        photo=page.sheet.photo,
                        photo_name=page.sheet.title,
                        styles=(sketch.style,),
                        recipe=recipe,
                        result=Path(folder) / str(number),
                    )
                    title = f"{number + 1} of {len(asked)}: {sketch.name}"
                    page.take(
                        number, _painted(order, engine, partial(_show, show, title, number, len(asked)))
                    )
            page.draw()
        except BaseException:
            page.stop()
            raise


def _show(
    show: Callable[[str, float], None], title: str, number: int, count: int, progress: Progress
) -> None:
    show(title, (number + progress.fraction) / count)


def _painted(order: Order, engine: "EngineProcess", on_progress: Callable[[Progress], None]) -> Cell:
    """Return a sketch's place on the page: with its painting, or with why there is none.

    Raises:
        PhotoError: there will be none of any style.
    """
    name = order.styles[0].name
    try:
        painting = engine.paint(order, on_progress=on_progress, should_stop=lambda: False)
    except PhotoError:
        raise
    except JobError as error:
        return Cell(name=name, words=str(error))
    return Cell(name=name, picture=painting.picture)


class _Page:
    """The page while its sketches come, and its file, which is whole at any time."""

    def __init__(self, sheet: ContactSheet, output: Path, kind: str, reader: "PhotoReader") -> None:
        self.sheet = sheet
        self._output = output
        self._kind = kind
        self._reader = reader
        self._due = float("-inf")

    @property
    def failed(self) -> list[str]:
        """The styles that have words instead of a picture."""
        return [cell.name for cell in self.sheet.cells if cell.words]

    def take(self, number: int, cell: Cell) -> None:
        """Put a sketch into its place; the page is drawn unless that was done just now."""
        cells = list(self.sheet.cells)
        cells[number] = cell
        self.sheet = replace(self.sheet, cells=tuple(cells))
        if time.monotonic() >= self._due:
            self.draw()

    def draw(self) -> None:
        """Write the page as it is now.

        Raises:
            PhotoError, FileNotFoundError: the photo cannot be read any more.
            ConditionError: it cannot be drawn or written now.
        """
        began = time.monotonic()
        content = self._reader.draw(self.sheet, self._kind)
        with written_whole(self._output) as file:
            file.write(content)
        self._due = time.monotonic() + REST * (time.monotonic() - began)

    def stop(self) -> None:
        """Leave what is there, and say how much that is."""
        painted = sum(cell.picture is not None for cell in self.sheet.cells)
        if not painted:
            say("Stopped: no picture was painted, and no page written.")
            return
        cells = (
            cell if cell.picture or cell.words else replace(cell, words=LEFT_OUT) for cell in self.sheet.cells
        )
        self.sheet = replace(self.sheet, cells=tuple(cells))
        with suppress(NstError, FileNotFoundError):  # the first error is the one to tell
            self.draw()
        say(f"Stopped: {painted} of {len(self.sheet.cells)} styles are on {self._output}.")
