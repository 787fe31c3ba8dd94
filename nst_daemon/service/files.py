"""The files that start it at log-in: systemd unit, desktop entry, launchd agent, Windows task. Pure."""

import plistlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

WATCHDOG_SECONDS: Final = 120  # without a sign of life for this long systemd starts the daemon anew
STOP_SECONDS: Final = 60  # a step of a painting may take half of it, and so may what a seat has in hand
DAEMON: Final = "photos dropped into a folder become paintings"
SEAT: Final = "this machine's devices paint for a farm"

UNIT: Final = """\
# Written by `nst-daemon service install`; changes are lost at the next one.
[Unit]
Description=nst-daemon: {purpose}
Documentation=https://pypi.org/project/nst-daemon/
# A disk that is read-only or not mounted for a while must not put the unit down for good.
StartLimitIntervalSec=0

[Service]
Type={kind}
ExecStart={command}
{watch}TimeoutStopSec={stop}
Restart=on-failure
RestartSec=30
# 2: config or join file is wrong, 4: another one is running. Trying again changes nothing.
RestartPreventExitStatus=2 4
# It ends its own processes in its own way, and outlives one that was killed for its memory.
KillMode=mixed
OOMPolicy=continue
Nice=10
LockPersonality=yes
NoNewPrivileges=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=default.target
"""

ENTRY: Final = """\
[Desktop Entry]
Type=Application
Name={title}
Comment={purpose}
Exec={command}
Terminal=false
NoDisplay=true
X-GNOME-Autostart-enabled=true
"""

TASK: Final = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>nst-daemon: {purpose}</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger><Enabled>true</Enabled><UserId>{user}</UserId></LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>7</Priority>
    <RestartOnFailure><Interval>PT1M</Interval><Count>255</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec><Command>{program}</Command><Arguments>{arguments}</Arguments></Exec>
  </Actions>
</Task>
"""


def systemd_unit(command: Sequence[str], *, purpose: str = DAEMON, is_watched: bool = True) -> str:
    """Return a systemd user unit; `is_watched`: the program says when it is ready, and that it lives."""
    words = " ".join(_systemd_word(word) for word in command)
    return UNIT.format(
        kind="notify" if is_watched else "exec",
        command=words,
        purpose=purpose,
        watch=f"WatchdogSec={WATCHDOG_SECONDS}\nTimeoutStartSec=180\n" if is_watched else "",
        stop=STOP_SECONDS,
    )


def desktop_entry(command: Sequence[str], *, title: str = "nst-daemon", purpose: str = DAEMON) -> str:
    """Return an entry for the desktop's autostart folder."""
    words = " ".join(_entry_word(word) for word in command)
    return ENTRY.format(command=words, title=title, purpose=purpose[0].upper() + purpose[1:])


def launchd_agent(label: str, command: Sequence[str], output: Path) -> bytes:
    """Return a launchd agent; `output` gets what is written to standard error."""
    return plistlib.dumps(
        {
            "Label": label,
            "ProgramArguments": list(command),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 30,  # seconds; launchd knows no exit code that is final
            "ExitTimeOut": STOP_SECONDS,  # of its own accord launchd kills after 20 s
            "Nice": 10,
            "StandardErrorPath": str(output),
        }
    )


def windows_task(user: str, command: Sequence[str], *, purpose: str = DAEMON) -> bytes:
    """Return a task for `schtasks /XML`, which wants UTF-16."""
    text = TASK.format(
        purpose=escape(purpose),
        user=escape(user),
        program=escape(command[0]),
        arguments=escape(subprocess.list2cmdline(command[1:])),
    )
    return text.replace("\n", "\r\n").encode("utf-16")


def _systemd_word(word: str) -> str:
    """Return a word as systemd reads it back: quoted, and without specifiers and variables."""
    bare = word.replace("%", "%%").replace("$", "$$")
    if bare and all(sign.isalnum() or sign in "/._-%$=:+@" for sign in bare):
        return bare
    return '"' + bare.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _entry_word(word: str) -> str:
    """Return a word of an Exec key: quoted, then escaped once more as a value (Desktop Entry 1.5)."""
    bare = word.replace("%", "%%")
    if bare and all(sign.isalnum() or sign in "/._-%=:+@" for sign in bare):
        return bare
    for sign in ("\\", '"', "`", "$"):
        bare = bare.replace(sign, f"\\{sign}")
    return '"' + bare.replace("\\", "\\\\") + '"'
