"""What the user asks for: config.yaml, settings and sidecars as checked, frozen values.

A typo is an error with file, line, key and the nearest valid key. Starts nothing and makes no folder: what
a config asks for is checked where it is used.
"""

from nst_daemon.config.kinds import ALL
from nst_daemon.config.loading import (
    APP,
    ENVIRONMENT,
    UNREADABLE,
    absolute,
    default_exchange,
    default_path,
    load,
    parse,
    read_source,
    state_home,
)
from nst_daemon.config.model import (
    DEFAULT_STYLE,
    MAX_MEGAPIXELS,
    Config,
    EngineConfig,
    FarmConfig,
    Folder,
    Graphs,
    Notify,
    Originals,
    Page,
    PageMode,
    Precision,
    TrayMode,
    Watch,
    WatchMode,
    keys_of,
)
from nst_daemon.config.settings import check_settings, parse_assignments, parse_sidecar
from nst_daemon.config.text import decoded

__all__ = [
    "ALL",
    "APP",
    "DEFAULT_STYLE",
    "ENVIRONMENT",
    "MAX_MEGAPIXELS",
    "UNREADABLE",
    "Config",
    "EngineConfig",
    "FarmConfig",
    "Folder",
    "Graphs",
    "Notify",
    "Originals",
    "Page",
    "PageMode",
    "Precision",
    "TrayMode",
    "Watch",
    "WatchMode",
    "absolute",
    "check_settings",
    "decoded",
    "default_exchange",
    "default_path",
    "keys_of",
    "load",
    "parse",
    "parse_assignments",
    "parse_sidecar",
    "read_source",
    "state_home",
]
