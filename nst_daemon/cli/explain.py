"""The commands that say what would be painted and in what: styles, explain."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from nst_daemon import disk
from nst_daemon.cli import paint as cli_paint
from nst_daemon.cli.common import (
    ConfigOption,
    JsonOption,
    answer,
    answer_json,
    config_if_any,
    load_config,
    say,
    table,
)
from nst_daemon.errors import ConditionError

if TYPE_CHECKING:
    from nst_daemon.config import Config
    from nst_daemon.intake.pairing import Paired

HEAD: Final = 64  # bytes by which a format is known


def styles(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the style library: the built-in pictures and your own.

    Example: nst-daemon styles
    """
    from nst_daemon.folders.library import Library

    loaded = config_if_any(config)
    library = Library(loaded.styles if loaded else None)
    faults = [(entry, "" if entry.is_builtin else _fault_of(entry.path)) for entry in library.entries()]
    if library.trouble is not None:
        say(f"{library.trouble.message} {library.trouble.remedy}")
    if as_json:
        rows = [{"name": e.name, "path": str(e.path), "builtin": e.is_builtin} for e, _ in faults]
        answer_json(
            [row | ({"error": fault} if fault else {}) for row, (_, fault) in zip(rows, faults, strict=True)]
        )
        return
    table(
        "",
        ["style", "from", "file"],
        [
            [e.name, "built-in" if e.is_builtin else "yours", f"{e.path}{fault and f' ({fault})'}"]
            for e, fault in faults
        ],
    )
    if loaded:
        say(f"Every picture in {loaded.styles} is a style as well.")


def _fault_of(style: Path) -> str:
    """Return why no photo would be painted in a style, as far as its first bytes tell; nothing is decoded."""
    from nst_daemon.images import containers
    from nst_daemon.images.endings import is_raw

    try:
        head = disk.read_bytes(style, at_most=HEAD)
    except FileNotFoundError:
        return "is no file, or leads to none"
    except ConditionError as error:
        return error.message.removesuffix(".")
    if not head:
        return "is empty"
    is_known = is_raw(style.name) or containers.kind(head)
    return "" if is_known else "is no picture that nst-daemon can read"


def explain(photo: cli_paint.PhotoArgument, config: ConfigOption = None) -> None:
    """Say which style and settings a photo would get, and why; of a painting, how it was made.

    Example: nst-daemon explain ~/Pictures/inbox/trip/a.jpg
    """
    from nst_daemon.config import absolute
    from nst_daemon.images import provenance

    path = absolute(photo)
    loaded = config_if_any(config)
    if loaded is not None and _is_left_alone(path, loaded):
        return
    keywords: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    if disk.is_file(path, follow=True):
        readable = cli_paint.readable_photo(path, loaded)
        keywords, size = readable.keywords, (readable.width, readable.height)
        if readable.provenance is not None:
            say(f"{photo} is a painting of ours: in an inbox it would be left alone.")
            for line in provenance.described(readable.provenance):
                answer(line)
            return
    else:
        say(f"{photo} is not there: explained by its name alone.")
    _explain_photo(path, keywords, size, config)


def _is_left_alone(path: Path, config: "Config") -> bool:
    """Say of a file of an inbox that it will not be painted, and why; asks whom the daemon asks."""
    from nst_daemon.folders.companions import photos_of
    from nst_daemon.folders.gate import left_by_name
    from nst_daemon.folders.masks import namers_of
    from nst_daemon.folders.walk import Kind, kind_of, why_left

    place = _place_in_an_inbox(path, config)
    if place is None:
        return False
    path, inbox, watch = place, _inbox_of(place, config), config.watch
    relative = path.relative_to(inbox)
    if disk.is_folder(path):
        left = left_by_name(relative, is_folder=True) if relative.parts else None
        answer(f"{relative} is a folder, and {f'left alone: {left}' if left else 'is looked into'}.")
        return True
    left = why_left(path, root=inbox, recursive=watch.recursive, ignore=watch.ignore)
    if left is not None:
        answer(f"{relative} is left alone, and never painted: {left}.")
    elif kind_of(relative, watch.ignore) is Kind.SIDECAR:
        photos = ", ".join(photo.name for photo in photos_of(path))
        answer(f"{relative} is no photo: it belongs to {photos or 'a photo that is not there'}.")
    elif namers := namers_of(path):
        answer(f"{relative} is left alone, and never painted: it is a mask, by the word of {namers[0].name}.")
    else:
        return False
    answer(f"  inbox: {inbox}")
    say("`nst-daemon submit` paints a picture wherever it lies; see docs/pictures.md.")
    return True


def _place_in_an_inbox(path: Path, config: "Config") -> Path | None:
    """Return a path as the daemon sees it: below an inbox, links above it followed and its own not."""
    for folder in config.folders:
        if path.is_relative_to(folder.inbox):
            return path
        real, inbox = disk.real_path(path.parent) / path.name, disk.real_path(folder.inbox)
        if real.is_relative_to(inbox):
            return folder.inbox / real.relative_to(inbox)
    return None


def _inbox_of(path: Path, config: "Config") -> Path:
    return next(folder.inbox for folder in config.folders if path.is_relative_to(folder.inbox))


def _explain_photo(
    path: Path, keywords: tuple[str, ...], size: tuple[int, int] | None, config: Path | None
) -> None:
    from nst_daemon.config.blends import spell_blend
    from nst_daemon.folders.library import Library
    from nst_daemon.folders.sidecars import foreign_beside, own_mask
    from nst_daemon.intake.pairing import Paired, Unpaired
    from nst_daemon.intake.submission import proposal_for

    loaded = load_config(config)
    proposal = proposal_for(path, config=loaded, library=Library(loaded.styles), keywords=keywords)
    outcome = proposal.outcome
    if isinstance(outcome, Unpaired):
        answer(f"{proposal.photo} waits: {outcome.reason}")
    else:
        answer(
            f"{proposal.photo} gets {' and '.join(spell_blend(choice.blend) for choice in outcome.choices)}"
        )
    answer(f"  inbox: {proposal.folder.inbox}")
    for reason in outcome.reasons:
        answer(f"  {reason}")
    if isinstance(outcome, Paired) and size is not None:
        _say_what_it_takes(outcome, size, loaded)
    for foreign in foreign_beside(path):
        answer(f"  {foreign.name}: another program's, it asks for nothing (it has no key of a sidecar)")
    if (mask := own_mask(path)) is not None:
        answer(f"  mask: {mask.name}")


def _say_what_it_takes(outcome: "Paired", size: tuple[int, int], config: "Config") -> None:
    """Say how long each painting of a photo of `size` px will take, and how much memory."""
    from nst_daemon.cli.forecasts import takes
    from nst_daemon.config.blends import spell_blend

    for choice in outcome.choices:
        words = takes(size, choice.settings, config, regions=len(choice.regions))
        named = f" ({spell_blend(choice.blend)})" if len(outcome.choices) > 1 else ""
        if words is not None:
            answer(f"  takes{named}: {words}")
