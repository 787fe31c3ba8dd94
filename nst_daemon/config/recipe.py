"""What is asked of the engine and what it answers: Recipe, Style, Order, Progress, Painting.

Pure values: no files are read here. Every default of a painting stands here once, beside its unit.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from annotated_types import Ge, Le

from nst_daemon.config.blends import Blend, Regions

CONVS_IN_BLOCK: Final = (2, 2, 4, 4, 4)  # VGG19's convolutions before each pooling
LAYERS: Final = tuple(
    f"{kind}{block}_{conv}"
    for block, convs in enumerate(CONVS_IN_BLOCK, start=1)
    for conv in range(1, convs + 1)
    for kind in ("conv", "relu")
)  # every layer whose features a loss can read, shallow to deep


def canonical_layer(name: str) -> str:
    """Return a layer's name by block (`conv2_2`, `relu4_1`) from either spelling.

    By count, as in the method's plain descriptions, `conv_4` is the fourth convolution, conv2_2;
    its output is taken before the rectifier, and `relu_4` is the same behind it.

    Raises:
        ValueError: no such layer in VGG19.
    """
    if name in LAYERS:
        return name
    if match := re.fullmatch(r"(conv|relu)_(\d{1,2})", name):
        of_kind = [layer for layer in LAYERS if layer.startswith(match[1])]
        if 1 <= int(match[2]) <= len(of_kind):
            return of_kind[int(match[2]) - 1]
    raise ValueError(
        f"{name!r} is no layer of VGG19: take relu1_1 to relu5_4, conv1_1 to conv5_4 or conv_1 to conv_16"
    )


class Preset(StrEnum):
    """A recipe by name."""

    CLASSIC = "classic"  # the method's plain description: one scale, Adam, Gram matrices
    DRAFT = "draft"  # a quick look
    BALANCED = "balanced"  # the default
    FINE = "fine"  # the best picture, in its own time


class Optimizer(StrEnum):
    """What moves the pixels."""

    ADAM = "adam"
    LBFGS = "lbfgs"


class Init(StrEnum):
    """The picture that the optimiser starts from."""

    CONTENT = "content"  # a copy of the photo
    NOISE = "noise"
    STYLE = "style"  # the style picture, cut to the photo's shape


class StyleLoss(StrEnum):
    """How two sets of style statistics are compared."""

    GRAM = "gram"  # the paper's: mean squared difference of Gram matrices
    WHITENED = "whitened"  # the same after partly whitening both by the style's own statistics
    WASSERSTEIN = "wasserstein"  # the distance between two Gaussians: every direction counts


class Pooling(StrEnum):
    """How VGG19 halves its maps."""

    MAX = "max"
    AVERAGE = "average"


class PreserveColor(StrEnum):
    """Whose colours the painting has."""

    OFF = "off"  # the style's
    LUMINANCE = "luminance"  # the photo's: only lightness is painted
    HISTOGRAM = "histogram"  # the photo's: the style is recoloured before painting


class StartColors(StrEnum):
    """The colours of the picture that the optimiser starts from."""

    PHOTO = "photo"
    STYLE = "style"  # mean and covariance matched to the style's


class Figures(StrEnum):
    """Whether what a style picture shows may turn up in the painting."""

    OFF = "off"  # its paint alone: strokes, colours, textures
    ON = "on"  # faces, hats, railings and the margin of a scan too


class Format(StrEnum):
    """The file format of a result."""

    SAME = "same"  # the photo's, where it can be written
    JPEG = "jpeg"
    PNG = "png"
    TIFF = "tiff"
    WEBP = "webp"
    AVIF = "avif"


CHOICES: Final[Mapping[str, type[StrEnum]]] = {
    "preset": Preset,
    "style_loss": StyleLoss,
    "optimizer": Optimizer,
    "init": Init,
    "start_colors": StartColors,
    "preserve_color": PreserveColor,
    "figures": Figures,
    "pooling": Pooling,
    "format": Format,
}  # the settings that are one of a few words

Positive = Annotated[float, Ge(0.0)]
Size = Annotated[int, Ge(16), Le(65_500)] | Literal["original"]  # JPEG ends at 65,535 px


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Every setting of one painting, complete. `resolve` makes one from a preset and overrides."""

    preset: Preset = Preset.BALANCED
    size: Size = 2048  # px, longer side; "original" is the photo's own
    strength: Annotated[float, Ge(0.0), Le(1.0)] = 1.0  # 0 is the photo, 1 the painting
    content_weight: Positive = 0.04  # of the scale-free content loss, at the last scale
    face_weight: Annotated[float, Ge(0.0), Le(100.0)] = 6.0  # of the content loss at faces; 1: as elsewhere
    style_weight: Positive = 1.0
    tv_weight: Positive = 0.6  # of total variation
    content_layers: tuple[str, ...] = ("relu4_2",)
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    style_loss: StyleLoss = StyleLoss.WASSERSTEIN
    style_scale: Annotated[float, Ge(0.1), Le(10.0)] = 1.0  # size of strokes, relative to the picture
    figures: Figures = Figures.OFF
    optimizer: Optimizer = Optimizer.LBFGS
    learning_rate: Annotated[float, Ge(1e-6), Le(100.0)] = 0.025  # of Adam; L-BFGS takes full steps
    steps: Annotated[int, Ge(1), Le(100_000)] = 110  # of the coarsest scale; larger ones take fewer each
    averaging: Annotated[float, Ge(0.0), Le(0.9999)] = 0.95  # decay of the mean of Adam's pictures; 0: none
    pyramid: Annotated[int, Ge(0), Le(65_500)] = 128  # px, longer side of the coarsest scale; 0: one scale
    init: Init = Init.CONTENT
    start_colors: StartColors = StartColors.STYLE
    preserve_color: PreserveColor = PreserveColor.OFF
    pooling: Pooling = Pooling.MAX
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0
    format: Format = Format.SAME
    quality: Annotated[int, Ge(1), Le(100)] = 95  # of JPEG, WebP and AVIF
    strip_gps: bool = False  # the result does not say where the photo was taken
    report: bool = False  # a picture of photo, style, result and loss curves beside the result

    def __post_init__(self) -> None:
        for name, choice in CHOICES.items():  # plain text comes back from the ledger
            object.__setattr__(self, name, choice(getattr(self, name)))
        for name in ("content_layers", "style_layers"):
            object.__setattr__(self, name, tuple(canonical_layer(layer) for layer in getattr(self, name)))
        if not self.style_layers:
            raise ValueError("style_layers is empty: name at least one layer, e.g. relu3_1")

    def as_settings(self) -> dict[str, object]:
        """Return every setting as plain JSON values; `resolve` takes them back."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }


SETTINGS: Final = tuple(f.name for f in fields(Recipe))  # the keys under `set`


PRESETS: Final[Mapping[Preset, Recipe]] = {
    Preset.CLASSIC: Recipe(
        preset=Preset.CLASSIC,
        size=1024,  # all of its steps are at this size
        content_layers=("conv_4",),
        style_layers=("conv_1", "conv_2", "conv_3", "conv_4", "conv_5"),
        content_weight=0.02,
        face_weight=1.0,
        tv_weight=0.0,
        style_loss=StyleLoss.GRAM,
        figures=Figures.ON,
        optimizer=Optimizer.ADAM,
        learning_rate=0.02,
        averaging=0.0,
        steps=300,
        pyramid=0,
        start_colors=StartColors.PHOTO,
    ),
    Preset.DRAFT: Recipe(preset=Preset.DRAFT, steps=32, pyramid=64, averaging=0.9, content_weight=0.05),
    Preset.BALANCED: Recipe(preset=Preset.BALANCED),
    Preset.FINE: Recipe(preset=Preset.FINE, steps=360, averaging=0.97, content_weight=0.03),
}


# What held before there was a choice: of recipes that an earlier version wrote down.
EARLIER: Final[Mapping[str, object]] = {"figures": Figures.ON}


def resolve(settings: Mapping[str, object]) -> Recipe:
    """Return the recipe of the named preset (default `balanced`) with the other settings put over it.

    The settings are those that `config.check_settings` let through.
    """
    preset = Preset(str(settings.get("preset", Preset.BALANCED)))
    return replace(PRESETS[preset], **{**settings, "preset": preset})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One picture of the style library, and its share of a blend."""

    name: str
    path: Path
    sha256: str  # of the picture's bytes
    weight: float = 1.0  # relative to the other styles of the same job


def blend_name(styles: tuple[Style, ...]) -> str:
    """Return the name of one style or of a blend, as results and tables show it."""
    return "+".join(style.name for style in styles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """A grey picture of where something counts: white does, black does not."""

    name: str  # as the file beside the photo is called
    path: Path  # a private copy
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of the photo that is painted in styles of its own."""

    mask: Mask
    styles: tuple[Style, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Areas:
    """Where on a photo what is painted; empty: all of it, in the job's styles."""

    mask: Mask | None = None  # of the painting: black stays photo
    regions: tuple[Region, ...] = ()

    @property
    def masks(self) -> tuple[Mask, ...]:
        """Every mask that is needed."""
        own = () if self.mask is None else (self.mask,)
        return (*own, *(region.mask for region in self.regions))

    def as_work(self) -> dict[str, object]:
        """Return what decides on the picture, as plain JSON values."""
        return {
            "mask": None if self.mask is None else self.mask.sha256,
            "regions": [
                (region.mask.sha256, [(style.sha256, style.weight) for style in region.styles])
                for region in self.regions
            ],
        }


EVERYWHERE: Final = Areas()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What a file beside the photo asks for. `config.parse_sidecar` makes one, and never raises."""

    path: Path
    style: Blend | None = None
    set: Mapping[str, object] = field(default_factory=dict)
    mask: str | None = None  # a file beside the photo
    regions: Regions = ()
    title: str | None = None  # what people call the photo
    attended: bool = False  # an editor's: it gives signs of life while somebody waits
    fault: str | None = None  # why it cannot be used; then its photo is held
    is_ours: bool = True  # false: another program's, which asks for nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A line of `rules`: photos that match get this style and these settings."""

    match: str  # glob over the path relative to the inbox; ** crosses folders
    style: "str | tuple[str | Mapping[str, float], ...] | None" = None
    set: Mapping[str, object] = field(default_factory=dict)


def job_key(
    photo_sha256: str,
    styles: tuple[Style, ...],
    recipe: Recipe,
    engine_version: str,
    areas: Areas = EVERYWHERE,
    network: str = "",
) -> str:
    """Return the key under which the same work is done once: photo, styles, settings, engine, masks, network.

    `network` is empty for the original one.
    """
    # What an earlier version would have painted alike keeps its key.
    settings = {key: value for key, value in recipe.as_settings().items() if EARLIER.get(key) != value}
    work: dict[str, object] = {
        "photo": photo_sha256,
        "styles": [(style.sha256, style.weight) for style in styles],
        "settings": settings,
        "engine": engine_version,
    }
    if areas != EVERYWHERE:
        work["areas"] = areas.as_work()
    if network:
        work["network"] = network
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()
