"""The commands about editors' plug-ins: editors install, uninstall, status."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nst_daemon.cli.common import (
    ConfigOption,
    JsonOption,
    answer,
    answer_json,
    config_if_any,
    is_running,
    say,
)
from nst_daemon.errors import ConfigError, MissingError, NstError

if TYPE_CHECKING:
    from nst_daemon.config import Config
    from nst_daemon.editors.profiles import Profile
    from nst_daemon.folders.exchange import Editor, Exchange


class EditorsAction(StrEnum):
    """What can be done with the plug-ins."""

    INSTALL = "install"
    UNINSTALL = "uninstall"
    STATUS = "status"


ALL: Final = "all"
NEXT: Final = {
    "darktable": "Start darktable anew: in its export module, choose the target “nst-daemon: paint”.",
    "gimp": "Start GIMP anew: Filters → Artistic → Paint in a style…",
    "krita": "Start Krita anew: Settings → Dockers → nst-daemon.",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """One profile, and how the plug-in is there."""

    profile: "Profile"
    state: str
    advice: str = ""

    @property
    def words(self) -> str:
        """A line for people."""
        return f"{self.profile.words}: {WORDS[self.state]} in {self.profile.folder}"


WORDS: Final = {
    "absent": "no plug-in",
    "well": "the plug-in is installed",
    "old": "the plug-in is of another version",
    "foreign": "a plug-in that is not ours has its name",
}
ADVICE: Final = {
    "absent": "`nst-daemon editors install` puts it there.",
    "well": "",
    "old": "`nst-daemon editors install` brings it up to date.",
    "foreign": "Move that file elsewhere, then `nst-daemon editors install`.",
}


def editors(
    action: Annotated[EditorsAction, typer.Argument(metavar="ACTION", help="install, uninstall or status.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EDITOR]...", help="darktable, gimp, krita, or all (what is there)."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the plug-ins into darktable, GIMP and Krita, take them away, or say how they are.

    Example: nst-daemon editors install
    """
    loaded = config_if_any(config)
    exchange = exchange_of(loaded)
    profiles = list(_chosen(names or [ALL]))
    if not profiles:
        raise MissingError(
            "No editor was found: neither darktable, GIMP nor Krita.",
            remedy="Install one and start it once; docs/editors.md says where its folders are looked for.",
            code="editor_missing",
        )
    if action is EditorsAction.INSTALL:
        _install(profiles, exchange, loaded)
    elif action is EditorsAction.UNINSTALL:
        _uninstall(profiles)
    standings = [_standing(profile, exchange.root) for profile in profiles]
    troubles = list(_troubles(exchange, loaded))
    if as_json:
        answer_json(_plain(standings, exchange, troubles))
    elif action is EditorsAction.STATUS:
        for each in standings:
            answer(" ".join(filter(None, (f"{each.words}.", each.advice))))
        answer(f"The exchange folder is {exchange.root}.")
        for line in troubles:
            answer(line)


def exchange_of(config: "Config | None") -> "Exchange":
    """Return the exchange folder of a config, or the one that a config would have.

    Raises:
        ConfigError: it has none.
    """
    from nst_daemon.config import default_exchange
    from nst_daemon.folders.exchange import Exchange

    if config is None:
        return Exchange(default_exchange())
    if config.exchange is None:
        raise ConfigError(
            f"{config.source} has no exchange folder: `exchange` is off, or it would lie in an inbox.",
            remedy="Set `exchange: /a/folder/of/its/own` there.",
            code="exchange_off",
        )
    return Exchange(config.exchange)


def _chosen(names: list[str]) -> Iterator["Profile"]:
    """Yield the profiles of the editors that are named. Raises: ConfigError, MissingError."""
    from nst_daemon.editors.profiles import profiles
    from nst_daemon.folders.exchange import Editor

    known = [*Editor, ALL]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"{name} is no editor that has a plug-in.", remedy=f"It is one of {', '.join(known)}."
            )
    is_all = ALL in names
    for editor in Editor if is_all else dict.fromkeys(map(Editor, names)):
        found = profiles(editor)
        if not found and not is_all:
            raise MissingError(
                f"There is no {editor} here: neither its program nor its folders.",
                remedy="Install it and start it once.",
                code="editor_missing",
            )
        yield from found


def _install(profiles: list["Profile"], exchange: "Exchange", config: "Config | None") -> None:
    from nst_daemon.editors import plug_ins

    exchange.make()
    _stock(exchange, config)
    for profile in profiles:
        _refuse_running(profile.editor)
        written = plug_ins.install(profile, exchange.root)
        for path in written:
            say(f"Wrote {path}")
        say(f"{profile.words}: {NEXT[profile.editor] if written else 'it was installed already.'}")


def _stock(exchange: "Exchange", config: "Config | None") -> None:
    """List the styles for the plug-ins, with small pictures."""
    from nst_daemon.editors.stock import Stock
    from nst_daemon.folders.library import Library
    from nst_daemon.intake.reader import PhotoReader

    with PhotoReader() as reader:
        Stock(exchange, Library(config.styles if config else None).entries, reader).fill()


def _uninstall(profiles: list["Profile"]) -> None:
    from nst_daemon.editors import plug_ins

    for profile in profiles:
        _refuse_running(profile.editor)
        for path in plug_ins.uninstall(profile):
            say(f"Took the plug-in out of {path}")


def _refuse_running(editor: "Editor") -> None:
    """Refuse to change the settings of an editor that would write them over at its end."""
    from nst_daemon.folders.exchange import Editor
    from nst_daemon.system import machine

    if editor is Editor.KRITA and machine.runs("krita"):
        raise MissingError(
            "Krita is running, and would write its settings over ours at its end.",
            remedy="Close Krita, then do this again.",
            code="editor_running",
        )


def _standing(profile: "Profile", exchange: Path) -> Standing:
    from nst_daemon.editors import plug_ins
    from nst_daemon.editors.profiles import flatpak_lack

    try:
        state = str(plug_ins.state_of(profile, exchange))
    except NstError as error:
        return Standing(profile, "absent", str(error))
    lack = flatpak_lack(profile, exchange)
    blind = "" if lack is None else f"It cannot see the exchange folder: `{lack}`."
    return Standing(profile, state, " ".join(filter(None, (ADVICE[state], blind))))


def _troubles(exchange: "Exchange", config: "Config | None") -> Iterator[str]:
    """Yield what stands between a plug-in and its painting, in words."""
    from nst_daemon import disk

    try:
        if not exchange.is_there():
            yield "It is not there: `nst-daemon editors install` makes it."
        elif not disk.is_private(exchange.root):
            yield f"Others may enter it: `chmod 700 '{exchange.root}'` closes it."
    except NstError as error:
        yield str(error)
    if config is None:
        yield "There is no config yet: `nst-daemon init` makes one."
    elif not is_running(config):
        yield "The daemon is not running: `nst-daemon start`."


def _plain(standings: list[Standing], exchange: "Exchange", troubles: list[str]) -> dict[str, object]:
    return {
        "exchange": str(exchange.root),
        "troubles": troubles,
        "profiles": [
            {
                "editor": str(each.profile.editor),
                "packing": str(each.profile.packing),
                "version": each.profile.version,
                "folder": str(each.profile.folder),
                "state": each.state,
                "advice": each.advice,
            }
            for each in standings
        ],
    }


def line_for_check(config: "Config") -> tuple[bool, str] | None:
    """Return whether the plug-ins are well, and a line about them; None: nobody uses any."""
    from nst_daemon.editors.profiles import profiles
    from nst_daemon.folders.exchange import Editor

    if config.exchange is None:
        return None
    exchange = exchange_of(config)
    standings = [_standing(each, exchange.root) for editor in Editor for each in profiles(editor)]
    standings = [each for each in standings if each.state != "absent"]
    if not standings:
        return None
    bad = [each for each in standings if each.state != "well" or each.advice]
    if bad:
        return False, f"{bad[0].words}. {bad[0].advice}"
    lacks = list(_troubles(exchange, None))[:-1]
    if lacks:
        return False, f"the exchange folder {exchange.root}: {lacks[0]}"
    return True, f"{', '.join(each.profile.words for each in standings)}, by {exchange.root}"
