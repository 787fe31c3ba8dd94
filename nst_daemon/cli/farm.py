"""The commands about a farm of machines: farm init, join, status, drain."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nst_daemon import disk
from nst_daemon.cli.common import (
    ConfigOption,
    JsonOption,
    answer,
    answer_json,
    guarded,
    is_running,
    ledger_of,
    load_config,
    say,
    table,
)
from nst_daemon.errors import ConfigError, MissingError

if TYPE_CHECKING:
    from nst_daemon.config.addresses import Address
    from nst_daemon.farm.keys import Join

farm = typer.Typer(
    help="Let other machines paint, too: keys, and who is there.", no_args_is_help=True, rich_markup_mode=None
)


def init(
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="NAME", help="How the other machines reach this one: NAME or NAME:PORT."
        ),
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Make new keys; the old ones open nothing any more.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Make the keys of a farm and its join file, on the machine that has the inbox; never overwrites keys.

    Example: nst-daemon farm init --host 192.168.1.5
    """
    require_extra()
    from nst_daemon.farm.keys import make_farm

    loaded = load_config(config)
    made = make_farm(loaded.state_dir, _address(host), renew=renew)
    say(f"{'Made' if made.is_new else 'Kept'} the keys of the farm; they hold until {made.ends:%Y-%m-%d}.")
    if renew and is_running(loaded):
        say("The daemon still has the old ones: `nst-daemon restart`.")
    say("The join file is")
    answer(str(made.join))
    say(
        "It is a key: whoever holds it may run code on every machine of this farm. Take it to them by a way "
        "that you trust (scp -p), and let nobody else read it.\n"
        f"Here, in config.yaml:     farm: {{listen: '{made.address}'}}\n"
        f"On each other machine:    nst-daemon farm join {made.join.name}"
    )


def join(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The join file, of `farm init` there.")],
    devices: Annotated[
        str, typer.Option("--devices", metavar="LIST", help="all, or devices such as cuda:0,cuda:1.")
    ] = "all",
    name: Annotated[
        str | None, typer.Option("--name", metavar="N", help="This machine's name in the farm; its host's.")
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            "--port", min=0, max=65535, metavar="P", help="Where the first seat listens, the next at P + 1."
        ),
    ] = 0,
    shared: Annotated[
        list[Path] | None,
        typer.Option(
            "--shared",
            metavar="DIR",
            help="A folder that the coordinator sees, too: its files are read there. Several times: several.",
        ),
    ] = None,
) -> None:
    """Lend this machine's devices to a daemon elsewhere; stays, and tries again for ever.

    Ctrl-C and SIGTERM let it end what it has in hand, for half a minute at most, and leave.

    Example: nst-daemon farm join join.json --devices cuda:0
    """
    found = join_of(file)
    from nst_daemon.config.loading import absolute
    from nst_daemon.farm import joining

    machine = joining.machine_name(name)
    lent = joining.devices_of(devices, joining.home_of(machine) / "weights")
    say(f"{machine} lends {', '.join(lent)} to {found.address}.")
    folders = [absolute(each) for each in shared or ()]
    for folder in folders:
        if not disk.is_folder(folder):
            say(f"There is no folder {folder} yet; until it is there, what is in it is sent.")
    joining.lend(
        joining.places_of(found, machine, lent, port=port, shared=folders),
        lambda seat, line: say(f"{seat}: {line}"),
    )


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the devices that other machines lend.

    Example: nst-daemon farm status --json
    """
    from nst_daemon.ledger.words import seat_json, seat_row

    loaded = load_config(config)
    with ledger_of(loaded) as ledger:
        snapshot = ledger.snapshot(running=is_running(loaded))
    if as_json:
        answer_json([seat_json(seat) for seat in snapshot.seats])
    elif snapshot.seats:
        headings = ["seat", "state", "job", "painted", "lost", "version", "last heard of"]
        table("", headings, [list(seat_row(seat, time.time())) for seat in snapshot.seats])
    elif not snapshot.running:
        say("The daemon is not running, and nobody knows who is there: `nst-daemon start`.")
    elif not loaded.farm.is_on:
        say("There is no farm: set farm.listen in config.yaml, as `nst-daemon farm init` says.")
    else:
        say("Nobody is there yet: `nst-daemon farm join FILE` on another machine.")


def drain(
    seat: Annotated[
        str | None, typer.Argument(metavar="[SEAT]", help="gpu1/cuda:0, or gpu1 for all of that machine.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="All seats.")] = False,
    config: ConfigOption = None,
) -> None:
    """Let seats end what they have in hand, and leave; their `farm join` ends then.

    Example: nst-daemon farm drain gpu1
    """
    from nst_daemon.ledger.requests import EVERYBODY

    if (seat is None) is not everybody:
        raise ConfigError("Name one seat, or --all.", remedy="Example: nst-daemon farm drain gpu1")
    loaded = load_config(config)
    with ledger_of(loaded) as ledger:
        seats = ledger.snapshot(running=is_running(loaded)).seats
        found = [each.name for each in seats if seat in (None, each.name, each.name.partition("/")[0])]
        if not found:
            raise ConfigError(
                f"There is no seat {seat}." if seat else "There is no seat.",
                remedy="`nst-daemon farm status` lists them.",
            )
        ledger.requests.drain([seat or EVERYBODY])
    say(f"Asked to leave: {', '.join(found)}.")


def join_of(file: Path) -> "Join":
    """Return what a join file says, where this machine could join by it.

    Raises:
        MissingError: what a farm needs is not installed.
        ConfigError, ConditionError: the file is of no use.
    """
    require_extra()
    from nst_daemon.farm.keys import read_join

    return read_join(file)


def require_extra() -> None:
    """Raise unless what a farm needs is installed. Raises: MissingError."""
    from nst_daemon.system import extras
    from nst_daemon.system.extras import Extra

    if lack := extras.lacking(Extra.FARM):
        raise MissingError(
            f"A farm needs {lack}, not installed here.",
            remedy=f"{extras.remedy(Extra.FARM)}, on each machine.",
            code="farm_not_installed",
        )


def _address(host: str | None) -> "Address":
    """Return the address that goes into the join file. Raises: ConfigError."""
    from nst_daemon.config.addresses import Address
    from nst_daemon.system import machine

    host = host if host is not None else machine.own_address()
    if host is None:
        raise ConfigError(
            "This machine has no address that others could reach.",
            remedy="Connect it, or say how they reach it: `nst-daemon farm init --host NAME`.",
        )
    try:
        return Address.of_host(host)
    except ValueError as error:
        raise ConfigError(
            f"--host: {error}.",
            remedy="Name this machine as the others do: 192.168.1.5, studio, studio:9000.",
        ) from error


COMMANDS: Final[tuple[Callable[..., None], ...]] = (init, join, status, drain)
for _command in COMMANDS:
    farm.command()(guarded(_command))
