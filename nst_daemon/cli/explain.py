"""The commands that say what would be painted and in what: styles, explain."""

from pathlib import Path

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


def explain(photo: cli_paint.PhotoArgument, config: ConfigOption = None) -> None:
    """Say which style and settings a photo would get, and why; of a painting, how it was made.

    Example: nst-daemon explain ~/Pictures/inbox/trip/a.jpg
    """
    from nst_daemon import provenance
    from nst_daemon.config import absolute

    path = absolute(photo)
    loaded = config_if_any(config)
    keywords: tuple[str, ...] = ()
    if path.is_file():
        readable = cli_paint.inspected(path, loaded)
        keywords = readable.keywords
        if readable.provenance is not None:
            say(f"{photo} is a painting of ours: in an inbox it would be left alone.")
            for line in provenance.described(readable.provenance):
                answer(line)
            return
    else:
        say(f"{photo} is not there: explained by its name alone.")
    _explain_photo(path, keywords, config)


def _explain_photo(path: Path, keywords: tuple[str, ...], config: Path | None) -> None:
    from nst_daemon.library import Library
    from nst_daemon.pairing import Unpaired, spell_blend
    from nst_daemon.sidecars import own_mask
    from nst_daemon.submission import wish_for

    loaded = load_config(config)
    wish = wish_for(path, config=loaded, library=Library(loaded.styles), keywords=keywords)
    outcome = wish.outcome
    if isinstance(outcome, Unpaired):
        answer(f"{wish.photo} waits: {outcome.reason}")
    else:
        answer(f"{wish.photo} gets {' and '.join(spell_blend(choice.blend) for choice in outcome.choices)}")
    answer(f"  inbox: {wish.folder.inbox}")
    for reason in outcome.reasons:
        answer(f"  {reason}")
    if (mask := own_mask(path)) is not None:
        answer(f"  mask: {mask.name}")
