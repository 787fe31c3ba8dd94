"""The style library as the page shows it: each with its size, what it is like, and how often it was used."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Set
from pathlib import Path, PurePath

from nst_daemon import disk
from nst_daemon.config.blends import style_key
from nst_daemon.config.recipe import Style
from nst_daemon.disk.files import copy_whole
from nst_daemon.errors import ConditionError, StyleError
from nst_daemon.intake.inspection import Unreadable
from nst_daemon.page.answers import RefusedError
from nst_daemon.page.looks import Look
from nst_daemon.page.site import Site
from nst_daemon.page.thumbs import Source
from nst_daemon.page.words import SHA, Json


async def listed(site: Site) -> Json:
    """Return all styles that can be shown, by name, and of how many is not known yet what they look like."""
    styles, used = await asyncio.to_thread(_found, site)
    looks, unread = await site.looks.of([source_of(style) for style in styles])
    shown = (_told(style, used[style_key(style.name)], looks, unread) for style in styles)
    return {"styles": [each for each in shown if each is not None], "unread": len(unread)}


def source_of(style: Style) -> Source:
    """Return a style's picture, as it may be shown."""
    return Source(path=style.path, key=f"style-{style.sha256[:SHA]}", is_link_fine=True)


def style_of(site: Site, name: str) -> Style:
    """Return a style. Raises: RefusedError: there is none of that name."""
    try:
        return site.library.get(name)
    except StyleError as error:
        raise RefusedError(404, error.message, error.remedy) from error


async def take_in(site: Site, draft: Path, name: str) -> str:
    """Make a whole picture a style of the user's; return its name.

    Raises:
        RefusedError: it is no picture, or there is a style of its name.
        NameRefusedError, ConditionError: it cannot be kept now.
    """
    key, folder = style_key(PurePath(name).stem), site.config().styles
    if any(style_key(each) == key for each in await asyncio.to_thread(site.library.names)):
        raise RefusedError(409, f"There is a style {PurePath(name).stem} already.", "Give it another name.")
    found = await site.thumbs.inspect(draft)
    if isinstance(found, Unreadable):
        raise RefusedError(415, found.reason.replace(draft.name, name), found.remedy)
    try:
        await asyncio.to_thread(disk.make_folder, folder)
        await asyncio.to_thread(copy_whole, draft, folder / name, replace=False)
    except FileExistsError as error:
        raise RefusedError(409, f"There is a file {name} already.", "Give it another name.") from error
    return PurePath(name).stem


def _found(site: Site) -> tuple[list[Style], Counter[str]]:
    """Return the styles that can be read, and how often each was painted in."""
    found = []
    for name in site.library.names():
        try:
            found.append(site.library.get(name))
        except (StyleError, ConditionError):
            continue  # `nst-daemon styles` and `check` say why
    used: Counter[str] = Counter()
    for names, count in site.ledger.jobs.styles_painted():
        used.update(dict.fromkeys({style_key(name) for name in names}, count))
    return found, used


def _told(style: Style, used: int, looks: Mapping[str, Look], unread: Set[str]) -> Json | None:
    """Return a style as it is shown, with its look if that is known; None: it cannot be shown."""
    key = source_of(style).key
    look = looks.get(key)
    if look is None and key not in unread:
        return None
    return {
        "name": style.name,
        "version": style.sha256[:SHA],
        "width": look and look.width,
        "height": look and look.height,
        "words": ", ".join(look.words) if look else "",
        "used": used,
    }
