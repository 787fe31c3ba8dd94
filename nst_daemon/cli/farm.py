"""The commands about a farm of machines: farm init."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nst_daemon.cli.common import ConfigOption, answer, guarded, is_running, load_config, say
from nst_daemon.errors import ConfigError, MissingError

if TYPE_CHECKING:
    from nst_daemon.config.addresses import Address

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


COMMANDS: Final[tuple[Callable[..., None], ...]] = (init,)
for _command in COMMANDS:
    farm.command()(guarded(_command))
