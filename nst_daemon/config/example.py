"""The commented config that `init` writes and `config.example.yaml` shows, made from the code's defaults.

Pure. Every default comes from the dataclasses; here is only a line of why for each key.
"""

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Final

from nst_daemon.config.model import ConfigText, EngineConfig, FarmConfig, Page, Watch, keys_of
from nst_daemon.config.recipe import Recipe

HEAD: Final = """\
# nst-daemon: photos dropped into the inbox become paintings in the outbox.
#
# "#key: value" shows a default; take the # away to change it. Only inbox and outbox are needed.
# Paths are relative to this file, ~ is your home folder. A saved edit applies to a running daemon.
# docs/config.md says more about every key.
"""

WHY: Final[Mapping[str, str]] = {
    "inbox": "photos are dropped here",
    "outbox": "paintings appear here, in the same sub-folders",
    "folders": "more pairs: [{inbox: a/in, outbox: a/out, style: mosaic}]; each may have its own keys",
    "styles": "every picture in it is a style, named by its file; built-in styles are always there",
    "style": "the default style; nst-daemon styles lists all",
    "rules": 'first match wins: [{match: "portraits/**", style: pastel, set: {strength: 0.8}}]',
    "set": "settings of every painting; a rule, a sidecar and --set go before them",
    "originals": "what becomes of a painted photo: move (to the archive), keep, delete",
    "archive": "where painted photos go; beside the inbox",
    "failed": "where photos go that cannot be painted, each with a .error.txt; beside the inbox",
    "watch": "how the inbox is watched",
    "engine": "which network runs where",
    "farm": "other machines that lend their devices, by the extra farm; docs/many-machines.md",
    "tray": "an icon in the task bar, by the extra desktop: auto, on, off",
    "notify": "what a notification is shown for, by the extra desktop: all, failures, off",
    "state_dir": "ledger, log and private copies; empty: the platform's folder",
    "exchange": "the folder that editors' plug-ins use: auto (in your pictures folder), off, or a path",
    "page": "a page to look at, in the browser: nst-daemon page",
    "max_megapixels": "a larger photo fails with a clear error, and a larger style holds its photos",
    "watch.settle_seconds": "a file is finished when it stood still for this long",
    "watch.rescan_seconds": "the folders are read anew this often, whatever was reported",
    "watch.sidecar_seconds": "how long a photo waits for its sidecar",
    "watch.max_wait_seconds": "a restless file is shown as a problem after this, and half a picture fails",
    "watch.mode": "auto (native where it works), native, polling (network folders)",
    "watch.recursive": "sub-folders too",
    "watch.ignore": 'names to leave alone, besides hidden and temporary ones: ["*.bak", "private/**"]',
    "engine.weights": "original (bundled), torchvision (a download), or a .pth or .safetensors file",
    "engine.device": "auto, cpu, cuda, cuda:1, mps, xpu",
    "engine.devices": "several engines at once, one on each: [cuda:0, cuda:1], or all; instead of device",
    "engine.precision": "of the convolutions: float32, bfloat16, or auto, the faster one on your device",
    "engine.graphs": "on CUDA, capture the work of small scales: auto, where it is faster, or off",
    "engine.keep_warm": "how long the idle engine keeps its memory: 90s, 15m, 2h, always, never",
    "engine.memory_limit": "4GB of each device; empty: what it has; larger pictures are painted in tiles",
    "page.mode": "auto (once somebody asks for it), on, off",
    "page.listen": "for others than this machine put TLS and a proxy before it: docs/page.md",
    "page.hosts": "by which a browser may call it, beside 127.0.0.1, [::1] and localhost: [atelier:8420]",
    "page.max_upload": "a larger photo is not taken from the page",
    "farm.listen": "where they find this daemon: tls://192.168.1.5:8786; off: nothing listens",
    "farm.local": "whether this machine's own devices paint too",
    "farm.silence_seconds": "a machine without an answer for so long is given up, its photo goes elsewhere",
    "farm.lost_limit": "how often a photo may lose the machine that paints it at no cost",
    "farm.shared": "folders that they see too, and read there: [{here: /photos, there: /mnt/photos}]",
    "set.preset": "classic, draft, balanced, fine",
    "set.size": "px, longer side; or original",
    "set.strength": "0 is the photo, 1 the painting",
    "set.content_weight": "how much the photo counts",
    "set.face_weight": "how many times as much it counts at faces; 1: no more than elsewhere",
    "set.style_weight": "how much the style counts",
    "set.tv_weight": "smoothness: more is less grain",
    "set.content_layers": "layers of VGG19 that hold the photo's shapes",
    "set.style_layers": "layers of VGG19 that hold the style, fine to coarse",
    "set.style_loss": "how styles are compared: wasserstein (crisp strokes), whitened, or gram (the paper's)",
    "set.style_scale": "size of the strokes, relative to the picture",
    "set.figures": "whether what a style picture shows (a face) may turn up in the painting: off, on",
    "set.optimizer": "lbfgs, adam",
    "set.learning_rate": "of the optimizer; 0.02 suits adam",
    "set.steps": "of the coarsest scale; larger ones take fewer: a quarter at 256 px, a seventh at 512",
    "set.averaging": "decay of the average of Adam's last pictures; 0: the last one itself",
    "set.pyramid": "px, longer side of the coarsest scale; 0: one scale only",
    "set.init": "what it starts from: content (the photo), noise, style",
    "set.start_colors": "the colours it starts from: style, photo",
    "set.preserve_color": "keep the photo's colours: off, luminance (also true), histogram",
    "set.pooling": "max, average",
    "set.seed": "of all that is random",
    "set.format": "same (as the photo), jpeg, png, tiff, webp, avif",
    "set.quality": "of JPEG, WebP and AVIF, 1 to 100",
    "set.strip_gps": "the result does not say where the photo was taken",
    "set.report": "a picture of photo, style, result, loss curves beside the result, by the extra report",
}

SHOWN: Final[Mapping[str, object]] = {  # what stands for a default that hangs on other keys
    "inbox": "inbox",
    "outbox": "outbox",
    "styles": "styles",
    "archive": "archive",
    "failed": "failed",
}
_PARTS: Final[Mapping[str, type]] = {
    "watch": Watch,
    "engine": EngineConfig,
    "page": Page,
    "farm": FarmConfig,
    "set": Recipe,
}


def example(changes: Mapping[str, object] = MappingProxyType({})) -> str:
    """Return the text of a config with every key, its default and one line of why.

    `changes` are values other than the defaults, by dotted key: `{"set.size": 512}`.
    """
    lines = [HEAD]
    for key in keys_of():
        if key in _PARTS:
            inner = (_key_line(_PARTS[key], name, f"{key}.{name}", changes) for name in keys_of(key))
            lines += ["", f"{key}:  # {WHY[key]}", *inner, ""]
        else:
            lines.append(_key_line(ConfigText, key, key, changes))
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _key_line(part: type, name: str, key: str, changes: Mapping[str, object]) -> str:
    is_live = key in changes or key in ("inbox", "outbox")
    value = changes.get(key, SHOWN.get(key, default(part, name)))
    indent = "  " if "." in key else ""
    text = f"{'' if is_live else '#'}{indent}{name}: {spell(value)}"
    return f"{text.rstrip():<34}  # {WHY[key]}"


def default(part: type, name: str) -> object:
    """Return the default of a key of a config's part."""
    return next(f.default for f in fields(part) if f.name == name)


def spell(value: Any) -> str:
    """Return a default as YAML: `true`, `[a, b]`, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(spell(part) for part in value)}]"
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    is_plain = all(sign.isalnum() or sign in "_-./~ \\" for sign in text) and text == text.strip()
    return text if is_plain else "'" + text.replace("'", "''") + "'"
