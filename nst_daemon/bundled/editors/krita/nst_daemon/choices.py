# nst-daemon plug-in @VERSION@
"""What can be set in the docker, and what is written down of an order for when its painting is there.

Plain Python: knows neither Krita nor Qt, and never waits.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from .protocol import EXCHANGE, Exchange, sidecar

OURS = "krita: "  # begins our own memory of an order, which to everybody else is a comment

# What can be chosen, as it is remembered and as it is shown.
SIZES = {"config": "as nst-daemon's config says", "original": "as the image", "px": "longer side"}
COLOURS = {
    "off": "the style's",
    "luminance": "the image's, lightness painted",
    "histogram": "the image's, style recoloured",
}
SELECTIONS = {
    "layer": "becomes the layer's mask",
    "both": "is painted, and becomes the layer's mask",
    "daemon": "is painted, the rest stays photo",
    "ignored": "is ignored",
}


@dataclass
class Choice:
    """What the user has set; every default once."""

    style: str = ""
    size: str = "config"
    px: int = 1024  # longer side, where `size` says so
    strength: int = 100  # per cent; 0 is the photo
    colours: str = "off"
    selection: str = "layer"
    goes_on: bool = False  # when Krita closes


@dataclass
class Note:
    """What the plug-in has to know of an order when its painting is there."""

    style: str
    title: str
    path: str = ""  # the image's file; only compared with those that are open
    width: int = 0  # px, of the image when it was ordered
    height: int = 0
    attended: bool = True


def exchange_of_krita(root: str = EXCHANGE) -> Exchange:
    """Return the exchange folder as Krita's plug-in sees it."""
    return Exchange(root, "krita", ".png")


def sidecar_text(choice: Choice, note: Note, mask: str = "") -> str:
    """Return what is asked of the daemon, with our own memory of it."""
    return sidecar(
        note.style,
        note.title,
        size={"config": "", "px": str(choice.px)}.get(choice.size, choice.size),
        strength=choice.strength,
        colours=choice.colours,
        mask=mask,
        attended=note.attended,
        comment=OURS + json.dumps(asdict(note)),
    )


def note_of(text: str) -> Note | None:
    """Return what we had written down of an order; None: it is none of ours."""
    first, start = text.split("\n", 1)[0], f"# {OURS}"
    if not first.startswith(start):
        return None
    try:
        said = json.loads(first[len(start) :])
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    known = Note(style="", title="")
    for name, value in asdict(known).items():
        if name in said and type(said[name]) is type(value):
            setattr(known, name, said[name])
    return known
