"""Tells systemd how the daemon is: ready, alive, stopping, and a line for `systemctl status`.

The protocol of sd_notify(3), without its library. Does nothing where systemd did not start us.
"""

import os
import socket
from contextlib import suppress
from typing import Final

SOCKET: Final = "NOTIFY_SOCKET"


def notify(*lines: str) -> bool:
    """Send lines such as `READY=1` or `STATUS=…`; return whether somebody is there to read them."""
    address = os.environ.get(SOCKET, "")
    if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        # An @ stands for the zero byte of Linux's abstract names.
        channel.connect(address.replace("@", "\0", 1) if address[0] == "@" else address)
        channel.sendall("\n".join(line.replace("\n", " ") for line in lines).encode())
        return True
    return False
