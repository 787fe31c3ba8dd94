"""Addresses of the network that machines of a farm speak to each other at: `tls://192.168.1.5:8786`. Pure."""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

PORT: Final = 8786  # a farm's, unless another is named; Dask's own
_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


class Scheme(StrEnum):
    """How the bytes travel."""

    TLS = "tls"  # each side shows the other a certificate
    TCP = "tcp"  # as they are: for this machine alone


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port, and how it is spoken to there."""

    scheme: Scheme
    host: str  # a name or an address, without brackets
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine reaches it. A name that would have to be looked up is not."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return an address as it is written in a config or a join file.

        Raises:
            ValueError: it is none; in words.
        """
        scheme, mark, rest = text.strip().partition("://")
        if not mark or scheme not in [*Scheme]:
            raise ValueError(f"{text!r} does not begin with tls:// or tcp://")
        host, port = _host_and_port(rest)
        if port is None:
            raise ValueError(f"{text!r} has no port, as in {scheme}://{rest}:{PORT}")
        return cls(Scheme(scheme), host, port)

    @classmethod
    def of_host(cls, text: str) -> Self:
        """Return the address at which a host is spoken to: of `gpu1`, `gpu1:9000`, `[fd00::1]:9000`.

        Raises:
            ValueError: it is no host's; in words.
        """
        host, port = _host_and_port(text.strip())
        return cls(Scheme.TLS, host, PORT if port is None else port)


def _host_and_port(text: str) -> tuple[str, int | None]:
    if match := re.fullmatch(r"\[(.+)\](?::(\d{1,5}))?", text):
        host, port = match.groups()
    elif text.count(":") > 1:  # an IPv6 address without brackets
        host, port = text, None
    else:
        host, mark, digits = text.partition(":")
        port = digits if mark else None
    return _checked_host(host, text), None if port is None else _checked_port(port, text)


def _checked_host(host: str, text: str) -> str:
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        # 300.1.1.1 would be looked up as a name, and never found.
        if not _NAME.fullmatch(host) or re.fullmatch(r"[\d.]+", host):
            raise ValueError(f"{text!r} names no host") from None
        return host
    if number.is_unspecified or number.is_multicast:
        raise ValueError(f"{text!r} is no address of one machine")
    return str(number)


def _checked_port(port: str, text: str) -> int:
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} has no port between 1 and 65535")
    return int(port)
