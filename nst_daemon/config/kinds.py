"""The kinds of values in a config, as annotations for pydantic: words, times, amounts of memory. Pure."""

import math
import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Final

from annotated_types import Ge
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from nst_daemon.config.addresses import Address, Scheme

RULES: Final = ConfigDict(
    extra="forbid",
    allow_inf_nan=False,
    coerce_numbers_to_str=True,  # a folder or a style may be called 1984
)


def _as_word(value: object) -> object:
    if isinstance(value, bool):  # to pydantic, true is the number 1
        raise ValueError("true or false")
    return value.lower() if isinstance(value, str) else value


OFF: Final = "off"
ALL: Final = "all"  # accelerators of this machine
MAX_PORT: Final = 65_535

WORD: Final = BeforeValidator(_as_word)  # a number, or one of a few words in any case; never true or false

Megapixels = Annotated[float, Ge(0.01), WORD]
Seconds = Annotated[float, Ge(0.0), WORD]


def idle_seconds(keep_warm: str) -> float:
    """Return `keep_warm` in seconds: "90", "15m", "2h"; "always" is infinite, "never" 0.

    Raises:
        ValueError: it is none of these.
    """
    if keep_warm in ("always", "never"):
        return math.inf if keep_warm == "always" else 0.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", keep_warm.strip())
    if match is None:
        raise ValueError(f"{keep_warm!r} is no time")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def memory_bytes(limit: str) -> int:
    """Return "4GB", "512 MB", "1.5GiB" or a plain number in bytes.

    Raises:
        ValueError: it is no amount of memory.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", limit.strip().lower())
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"{limit!r} is no amount of memory")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** " kmgt".index(match[2] or " "))


def host_and_port(address: str) -> tuple[str, int]:
    """Return the two parts of an address: "127.0.0.1:8420", "[::1]:8420", "photos.example:80".

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})", address.strip())
    if match is None or not 0 <= int(match[2]) <= MAX_PORT:
        raise ValueError(f"{address!r} is no address")
    return match[1].strip("[]"), int(match[2])


def device_name(name: str) -> str:
    """Return the name of a device as torch spells it.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"auto|cpu|mps|(cuda|xpu)(:\d+)?", name.lower()):
        raise ValueError(f"{name!r} is no device")
    return name.lower()


def device_names(names: object) -> tuple[str, ...]:
    """Return the names of several devices, or of ("all",).

    Raises:
        ValueError: they are none, or `auto` is among others: which device would that be?
    """
    if isinstance(names, str) and names.lower() == ALL:
        return (ALL,)
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{names!r} are no devices")
    found = tuple(device_name(name) for name in names)
    if "auto" in found and len(found) > 1:
        raise ValueError("auto may be any of the others")
    return found


def farm_address(text: str) -> str:
    """Return where a farm's scheduler listens, `tls://HOST:PORT`, or "off"; without TLS on loopback alone.

    Raises:
        ValueError: it is no address, or others would reach it without TLS.
    """
    if text.lower() == OFF:
        return OFF
    address = Address.parse(text.strip().lower())
    if address.scheme is Scheme.TCP and not address.is_loopback:
        raise ValueError(f"{text!r} has no TLS, and is not loopback")
    return str(address)


def _as_absolute(text: str) -> str:
    if not any(kind(text).is_absolute() for kind in (PurePosixPath, PureWindowsPath)):
        raise ValueError(f"{text!r} does not begin at a root")
    return text


def _as_time(text: str) -> str:
    idle_seconds(text)
    return text


def _as_memory(text: str) -> str:
    memory_bytes(text)
    return text


def _as_address(text: str) -> str:
    host_and_port(text)
    return text.strip()


def _as_host(name: str) -> str:
    if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?", name):
        raise ValueError(f"{name!r} is no name of a machine")
    return name.lower()


def _plainly(value: object) -> object:
    """Return a number in plain digits, as these kinds read it: 4e9 and 4_000_000_000 are written so too."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{float(value):f}".rstrip("0").rstrip(".") if is_number else value  # type: ignore[arg-type]


PLAINLY: Final = BeforeValidator(_plainly)

# The descriptions are what a message says to be allowed.
KeepWarm = Annotated[
    str,
    PLAINLY,
    AfterValidator(_as_time),
    Field(description="a time such as 90s, 15m or 2h, or always, or never"),
]
MemoryLimit = Annotated[
    str, PLAINLY, AfterValidator(_as_memory), Field(description="an amount of memory such as 4GB or 800MB")
]
FileSize = Annotated[
    str, PLAINLY, AfterValidator(_as_memory), Field(description="a size such as 500MB or 2GB")
]
PageAddress = Annotated[
    str,
    AfterValidator(_as_address),
    Field(description="an address and a port, such as 127.0.0.1:8420 or [::1]:8420"),
]
HostName = Annotated[
    str,
    AfterValidator(_as_host),
    Field(description="a name as browsers are given it, such as photos.example.org or atelier:8420"),
]
Device = Annotated[str, AfterValidator(device_name), Field(description="auto, cpu, cuda, cuda:1, mps or xpu")]
Listen = Annotated[
    str,
    AfterValidator(farm_address),
    Field(description="off, or tls:// with a host and a port, such as tls://192.168.1.5:8786"),
]
AbsolutePath = Annotated[
    str,
    AfterValidator(_as_absolute),
    Field(description="a path from the root on, as the other machine writes it, such as /mnt/photos"),
]
Devices = Annotated[
    tuple[str, ...],
    PlainValidator(device_names),
    WithJsonSchema({"type": "array", "description": "all, or a list of devices such as [cuda:0, cuda:1]"}),
]
