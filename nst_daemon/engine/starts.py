"""What each scale starts from: the first from photo, noise or style, the others from the one before."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nst_daemon.config.recipe import Init, PreserveColor, Recipe, StartColors
from nst_daemon.engine.pixels import cover, resize, to_array, to_tensor
from nst_daemon.engine.regions import RegionSource, StyleSource, guides_of
from nst_daemon.engine.schedule import Scale
from nst_daemon.engine.styles import Styles
from nst_daemon.images.colors import match_colors


@dataclass(frozen=True, slots=True)
class Starts:
    """Makes the pictures that the optimiser begins with, for one photo in some styles."""

    photo: Tensor  # (1, 3, H, W)
    parts: Sequence[RegionSource]
    recipe: Recipe

    def first(self, scale: Scale) -> Tensor:
        """Return the picture that the first scale starts from. Shapes: -> (1, 3, H, W)."""
        if self.recipe.init is Init.NOISE:
            # Drawn on the CPU, so that a seed means the same on every device.
            generator = torch.Generator().manual_seed(self.recipe.seed)
            shape = (1, 3, scale.height, scale.width)
            return torch.rand(shape, generator=generator).mul_(0.5).add_(0.25).to(self.photo.device)
        start = resize(self.photo, scale.width, scale.height)
        keeps_colors = (
            self.recipe.start_colors is StartColors.PHOTO
            or self.recipe.preserve_color is not PreserveColor.OFF
        )
        if self.recipe.init is Init.CONTENT and keeps_colors:
            return start
        first = torch.zeros_like(start)
        for part in self.parts:
            guide = self._guide(part, scale)
            picture = self._in_styles(start, part.styles, None if guide is None else guide[0, 0])
            first += picture if guide is None else picture * guide
        return first

    @torch.no_grad()
    def grown(self, picture: Tensor, scale: Scale, styles: Styles) -> Tensor:
        """Return what a scale starts from, given the picture of the one before.

        Shapes: (1, 3, h, w) -> (1, 3, scale.height, scale.width).
        """
        factor = max(scale.width, scale.height) / max(picture.shape[-2:])
        grown = resize(picture, scale.width, scale.height)
        if not scale.is_detailed or factor <= 1:
            return grown
        light = resize(self.photo.mean(1, keepdim=True), scale.width, scale.height)
        detailed: Tensor | None = None
        for part in self.parts:
            guide = self._guide(part, scale)
            details = styles.details(part.styles, self.recipe, scale, factor)
            of_part = details.on(grown)
            if scale.content_weight and self.recipe.content_layers:
                of_part += details.of_photo(light, factor)
            of_part = details.toned(of_part, guide)
            of_part = of_part if guide is None else of_part.mul_(guide)
            detailed = of_part if detailed is None else detailed.add_(of_part)
        assert detailed is not None
        return detailed.clamp_(0, 1)

    def _guide(self, part: RegionSource, scale: Scale) -> Tensor | None:
        """Return where a part holds; None: everywhere. Shapes: -> (1, 1, scale.height, scale.width)."""
        (guide,) = guides_of(part, ("relu1_1",), scale.width, scale.height, self.photo.device).values()
        return guide

    def _in_styles(self, start: Tensor, styles: Sequence[StyleSource], guide: Tensor | None) -> Tensor:
        """Return a start in some styles: the first of them itself, or the photo in the colours of all.

        Shapes: (1, 3, H, W), guide (H, W) -> (1, 3, H, W).
        """
        device = self.photo.device
        if self.recipe.init is Init.STYLE:
            return cover(to_tensor(styles[0].rgb, device), start.shape[-1], start.shape[-2])
        within = None if guide is None else guide.cpu().numpy()
        weights = torch.tensor([style.weight for style in styles])
        recoloured = [match_colors(to_array(start), style.rgb, within=within) for style in styles]
        mixed = sum(
            share * to_tensor(picture, device)
            for share, picture in zip((weights / weights.sum()).tolist(), recoloured, strict=True)
        )
        assert isinstance(mixed, Tensor)
        return mixed
