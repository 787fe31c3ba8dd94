"""The command that looks at everything once: check.

It tries what the daemon does, and survives the faults that it is to find.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import typer

from nst_daemon import disk
from nst_daemon.cli.common import (
    ConfigOption,
    answer,
    indented,
    is_running,
    ledger_of,
    ledger_path,
    load_config,
    printable,
    say,
)
from nst_daemon.errors import ConditionError, ConfigError, ExitCode, FileConditionError, NstError, Trouble

if TYPE_CHECKING:
    from nst_daemon.config import Config, Folder
    from nst_daemon.folders.library import Entry

LEAST_FREE: Final = 1_000_000_000  # bytes; copies, a checkpoint and a few pictures of camera size
INOTIFY: Final = Path("/proc/sys/fs/inotify/max_user_watches")


class Finding(NamedTuple):
    """One line of `check`."""

    is_ok: bool
    what: str
    fix: str = ""
    code: str = ""  # of a problem: its section in docs/errors.md


def check(config: ConfigOption = None) -> None:
    """Check config, folders, disk, watch limits, tray, device and weights; each problem with its fix.

    Example: nst-daemon check
    """
    try:
        loaded = load_config(config)
    except ConfigError as error:
        _show(Finding(False, f"config {error.message}", error.remedy, error.code))
        raise typer.Exit(error.exit_code) from error
    _show(Finding(True, f"config {loaded.source}"))
    count = 0
    for finding in findings(loaded):
        _show(finding)
        count += not finding.is_ok
    if count:
        say("One problem." if count == 1 else f"{count} problems.")
        raise typer.Exit(ExitCode.MISSING)
    say("All is well.")


def _show(finding: Finding) -> None:
    """Print a finding; green or red on a terminal."""
    from nst_daemon.ledger.words import remedy_text

    mark = typer.style("ok      ", "green") if finding.is_ok else typer.style("PROBLEM ", "red", bold=True)
    typer.echo(f"{mark} {printable(finding.what)}")
    if not finding.is_ok:
        answer(indented(remedy_text(finding.fix, finding.code), 9))


def findings(config: "Config") -> Iterator[Finding]:
    """Yield what is right and wrong on this machine, the quick checks first."""
    yield from _surviving("state_dir", _state(config))  # first: what opens the ledger closes its folder
    for folder in config.folders:
        yield from _inbox(folder)
        yield from _surviving("outbox", _outbox(folder))
    yield from _surviving("inbox", _first_photos(config))
    yield from _surviving("styles", _styles(config))
    yield from _surviving("disk", _disks(config))
    yield from _surviving("watch limit", _watches(config))
    yield from _surviving("tray", _tray(config))
    yield from _surviving("notify", _notifications(config))
    yield from _surviving("report", _reports(config))
    yield from _surviving("editors", _editors(config))
    yield from _page(config)
    yield from _surviving("painting", _paintings(config))
    yield from _surviving("engine", _engines(config))


def _surviving(what: str, looks: Iterator[Finding]) -> Iterator[Finding]:
    """Yield what a look finds; one that fails is a finding, and the others go on."""
    try:
        yield from looks
    except NstError as error:
        yield Finding(False, f"{what} {error.message}", error.remedy, error.code)
    except OSError as error:
        yield Finding(False, f"{what} {error}", "Check this disk.", code="disk_error")


def _editors(config: "Config") -> Iterator[Finding]:
    """Yield whether the plug-ins that were installed are well."""
    from nst_daemon.cli.editors import line_for_check

    found = line_for_check(config)
    if found is not None:
        is_ok, words = found
        yield Finding(is_ok, f"editors {words}", "`nst-daemon editors status` says more.", "plug_in_old")


def _page(config: "Config") -> Iterator[Finding]:
    """Yield who may reach the page."""
    from nst_daemon.config.model import LOOPBACK

    host, _ = config.page.address
    if config.page.mode != "off" and host not in LOOPBACK:
        yield Finding(
            False,
            f"page listens on {config.page.listen}: other machines reach it, and what is sent can be read",
            "Set page.listen to 127.0.0.1:8420 and use `ssh -L`, or put a proxy with TLS before it.",
            "page_open",
        )


# ── folders ─────────────────────────────────────────────────────────────────────────────────────────────


def _inbox(folder: "Folder") -> Iterator[Finding]:
    """Yield whether the inbox can be listed, and written to where originals leave it."""
    from nst_daemon.config import Originals
    from nst_daemon.folders.gate import library_around

    inbox = folder.inbox
    try:
        if not disk.is_folder(inbox):
            yield _absent("inbox", inbox)
            return
        for entry in disk.entries_of(inbox)[:1]:
            disk.facts_of(
                entry.path
            )  # a folder that may be listed and not searched tells nothing of its files
    except FileConditionError as error:
        yield _wrong("inbox", inbox, error)
        return
    except FileNotFoundError:
        yield _absent("inbox", inbox)
        return
    if (library := library_around(inbox)) is not None and folder.originals is not Originals.KEEP:
        what = f"inbox {inbox} is in {library}, which another program keeps its own in: it would be emptied"
        yield Finding(
            False, what, "Export the photos to a folder, or set `originals: keep`.", "inbox_in_library"
        )
    finding = _writable("inbox", inbox)
    if not finding.is_ok and folder.originals is Originals.KEEP and finding.code == Trouble.READ_ONLY:
        finding = Finding(True, f"inbox {inbox} is only read: originals: keep")
    yield finding


def _outbox(folder: "Folder") -> Iterator[Finding]:
    yield _writable("outbox", folder.outbox)
    yield _writable("archive", folder.archive, may_be_made=True)
    yield _writable("failed", folder.failed, may_be_made=True)


def _writable(key: str, folder: Path, *, may_be_made: bool = False) -> Finding:
    """Return whether a folder is there and can be written; `may_be_made`: we make it when we need it."""
    from nst_daemon.disk.files import temporary_in

    there = folder
    try:
        while may_be_made and not disk.is_there(there) and there != there.parent:
            there = there.parent
        if not disk.is_folder(there):
            return _absent(key, folder)
        probe = temporary_in(there)
        with disk.created(probe):
            pass
        disk.remove(probe)
    except FileConditionError as error:
        return _wrong(key, folder, error)
    return Finding(True, f"{key} {folder}")


def _absent(key: str, folder: Path) -> Finding:
    code = f"{key}_missing"
    if disk.is_there(folder):
        return Finding(False, f"{key} {folder} is no folder", f"Make one, or set {key} in config.yaml.", code)
    return Finding(False, f"{key} {folder} is missing", f"Make it, or set {key} in config.yaml.", code)


def _wrong(key: str, folder: Path, error: FileConditionError) -> Finding:
    """Return a finding about a folder; the path of the error may be that of a probe in it."""
    why = error.__cause__.strerror if isinstance(error.__cause__, OSError) else None
    what = {
        Trouble.READ_ONLY: "cannot be written",
        Trouble.UNREADABLE: "may not be read",
        Trouble.UNREACHABLE: "does not answer",
    }.get(error.trouble, "cannot be used")
    remedy = (
        f"Give yourself the right to write to {folder}."
        if error.trouble is Trouble.READ_ONLY
        else error.remedy
    )
    return Finding(False, f"{key} {folder} {what}: {why or error.message}", remedy, error.named(key).code)


def _first_photos(config: "Config") -> Iterator[Finding]:
    """Yield how many photos lie in inboxes that no daemon has looked at."""
    from nst_daemon.intake.first_look import words_before

    for line in words_before(config):
        yield Finding(True, f"inbox {line}")


def _state(config: "Config") -> Iterator[Finding]:
    """Yield whether the daemon can use the state folder: write to it, lock it, open its ledger."""
    from nst_daemon.daemon.state_dir import place_problems

    finding = _writable("state_dir", config.state_dir, may_be_made=True)
    yield finding
    if not finding.is_ok:
        return
    was_private = disk.is_private(config.state_dir)
    is_up = is_running(config)
    journal_mode = "wal"
    if disk.is_there(ledger_path(config)):
        with ledger_of(config) as ledger:
            ledger.snapshot(running=is_up)
            journal_mode = ledger.file.journal_mode
    for problem in place_problems(config.state_dir, journal_mode=journal_mode):
        yield Finding(False, problem.message, problem.remedy, code=problem.code)
    if not disk.is_private(config.state_dir):
        what = f"state_dir {config.state_dir} may be read by others"
        fix = f"The daemon closes it at its next start, where it can; else: chmod -R go= {config.state_dir}"
        yield Finding(False, what, fix, code="state_dir_open")
    elif not was_private:
        yield Finding(True, "state_dir could be read by others until now, and is closed")
    yield Finding(True, "daemon is running" if is_up else "daemon is not running (nst-daemon start)")


def _style(entry: "Entry", config: "Config") -> Iterator[Finding]:
    """Yield what is wrong with a style that every photo of an inbox, or those of a rule, would wait for."""
    from nst_daemon.intake.inspection import Unreadable
    from nst_daemon.intake.reader import PhotoReader

    if entry.is_builtin:
        return
    try:
        with PhotoReader(max_megapixels=config.max_megapixels) as reader:
            answer = reader.inspect(entry.path)
    except FileNotFoundError:
        answer = Unreadable(reason=f"{entry.path.name} leads to no file.", remedy="Put the picture there.")
    if isinstance(answer, Unreadable):
        what = f"style {entry.name}: {answer.reason.removesuffix('.')}"
        yield Finding(False, what, answer.remedy, code="style_missing")


def _styles(config: "Config") -> Iterator[Finding]:
    from nst_daemon.config.blends import blend_of, style_key
    from nst_daemon.folders.library import Library

    if disk.is_folder(config.styles):
        disk.entries_of(config.styles)
    library = Library(config.styles)
    known = {style_key(name) for name in library.names()}
    asked = [folder.style for folder in config.folders]
    for folder in config.folders:
        for rule in folder.rules:
            asked += [name for name, _ in blend_of(rule.style)] if rule.style is not None else []
    for name in dict.fromkeys(asked):
        if style_key(name) not in known:
            near = library.near(name)
            fix = f"Did you mean {' or '.join(near)}?" if near else f"Put a picture {name}.jpg there."
            what = f"style {name} is neither built in nor in {config.styles}"
            yield Finding(False, what, fix, code="style_missing")
        else:
            yield from _style(library.candidates(name)[0], config)
    yield Finding(True, f"styles {len(known)} in the library")


def _disks(config: "Config") -> Iterator[Finding]:
    seen = set()
    for folder in (config.state_dir, *(folder.outbox for folder in config.folders)):
        there = next(path for path in (folder, *folder.parents) if disk.is_there(path))
        facts = disk.facts_of(there, follow=True)
        if facts is None or facts.st_dev in seen:
            continue
        seen.add(facts.st_dev)
        free = disk.free_bytes(there)
        fix = "Free some space: a full disk stops the painting until there is some."
        yield Finding(free >= LEAST_FREE, f"disk {free / 1e9:.1f} GB free at {there}", fix, code="disk_full")


def _watches(config: "Config") -> Iterator[Finding]:
    """Yield whether inotify may watch every sub-folder (Linux only)."""
    try:
        limit = int(disk.read_bytes(INOTIFY))
    except (FileNotFoundError, ConditionError, ValueError):
        return
    needed = sum(_folders_in(folder.inbox) for folder in config.folders)
    fix = f"sudo sysctl fs.inotify.max_user_watches={max(524_288, 2 * needed)}; until then it polls."
    yield Finding(needed < limit, f"watch limit {limit} folders, {needed} needed", fix, code="watch_limit")


def _folders_in(top: Path) -> int:
    """Return how many folders there are, with the one that is named."""
    folders, count = [top], 0
    while folders:
        folder = folders.pop()
        with suppress(FileNotFoundError, ConditionError):
            folders += [entry.path for entry in disk.entries_of(folder) if entry.is_folder]
            count += 1
    return count


def _tray(config: "Config") -> Iterator[Finding]:
    """Yield whether the tray icon can be seen; a missing one is no fault unless `tray: on` asks for it."""
    from nst_daemon.config import TrayMode
    from nst_daemon.desktop import panels

    if config.tray is TrayMode.OFF:
        return
    if config.tray is TrayMode.AUTO and not panels.may_show_tray():
        yield Finding(True, "tray none here: this session has no desktop")
        return
    problems = panels.problems()
    for problem in problems:
        is_ok = config.tray is TrayMode.AUTO
        said = f"{problem.message} {problem.remedy}" if is_ok else problem.message
        yield Finding(is_ok, f"tray {said}", problem.remedy, problem.code)
    if not problems:
        yield Finding(True, "tray this desktop draws the icon")


def _notifications(config: "Config") -> Iterator[Finding]:
    """Yield that what shows notifications is not installed; no fault, but good to know."""
    from nst_daemon.config import Notify
    from nst_daemon.desktop import panels
    from nst_daemon.desktop.notify import NO_NOTIFIER
    from nst_daemon.system import extras

    if config.notify is not Notify.OFF and panels.may_notify() and not panels.has_notifier():
        yield Finding(True, f"notify {NO_NOTIFIER} {extras.remedy(extras.Extra.DESKTOP)}")


def _reports(config: "Config") -> Iterator[Finding]:
    """Yield whether the reports that the config asks for can be drawn."""
    from nst_daemon.system import extras

    settings = [folder.set for folder in config.folders]
    settings += [rule.set for folder in config.folders for rule in folder.rules]
    lack = extras.lacking(extras.Extra.REPORT)
    if lack and any(each.get("report") for each in settings):
        fix = f"{extras.remedy(extras.Extra.REPORT)}, or set report: false."
        what = f"report There is none without {lack}, not installed here"
        yield Finding(False, what, fix, "report_not_installed")


def _paintings(config: "Config") -> Iterator[Finding]:
    """Yield what a painting takes, as far as earlier ones told."""
    from nst_daemon.cli.forecasts import takes_usually

    if (words := takes_usually(config)) is not None:
        yield Finding(True, f"painting {words}")


def _engines(config: "Config") -> Iterator[Finding]:
    """Yield of each device whether an engine starts on it."""
    from nst_daemon.config import ALL
    from nst_daemon.engine.process import probe
    from nst_daemon.engine.settings import settings_of

    say("starting the engine once …")
    names = list(dict.fromkeys((config.engine.first_device, *config.engine.each_device[1:])))
    for name in names:
        try:
            facts = probe(settings_of(config, name))
        except NstError as error:
            yield Finding(False, f"engine {error.message}", error.remedy, error.code)
            continue
        precision = facts.precision or "a precision that the first painting chooses"
        yield Finding(True, f"engine {facts.network} ({facts.weights}) on {facts.device} in {precision}")
        if config.engine.each_device == (ALL,) and name == "auto":
            names += facts.others  # which are the next to be started
