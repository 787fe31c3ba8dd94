"""What is asked of every painting of the matrix; exiftool is the referee."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nst_daemon.images.photo import Photo
from support.matrix import HEIGHT, KEPT, PLACE, RAMP, WIDTH, Case
from support.pictures import load

DEEP = (".png", ".tif")
CLEAR = (".png", ".tif", ".webp", ".avif")  # can be transparent
WITH_IPTC = (".jpg", ".png", ".tif")


@dataclass(frozen=True)
class Result:
    case: Case
    picture: Path
    facts: dict[str, Any]  # of exiftool
    shown: Photo

    @property
    def suffix(self) -> str:
        return self.picture.suffix


def result(case: Case, picture: Path, facts: dict[str, Any]) -> Result:
    return Result(case, picture, facts, load(picture))


def is_upright(results: Sequence[Result]) -> None:
    for each in results:
        name, facts = each.picture.name, each.facts
        assert (each.shown.width, each.shown.height) == (WIDTH, HEIGHT), name
        found = [
            facts[key] for key in facts if key in ("File:ImageWidth", "IFD0:ImageWidth", "PNG:ImageWidth")
        ]
        assert set(found) <= {WIDTH}, name
        orientations = {value for key, value in facts.items() if key.endswith(":Orientation")}
        assert orientations <= {1}, name
        assert facts.get("Track1:MatrixStructure") is None, name
        assert facts.get("Meta:Rotation", 0) == 0, name


def shows_the_scene(results: Sequence[Result]) -> None:
    """As the same photo lying straight does: what a step of painting changes, it changes in both."""
    upright: dict[tuple[str, str, str], Any] = {}
    for each in results:
        case, shown = each.case, each.shown.rgb
        straight = upright.setdefault((case.suffix, case.mode, case.profile), shown)
        near = np.abs(shown - straight).mean()
        for turned in (straight[::-1], straight[:, ::-1], straight[::-1, ::-1]):
            assert near < 0.3 * np.abs(shown - turned).mean(), case.name


def keeps_its_tags(results: Sequence[Result]) -> None:
    for each in results:
        case, facts = each.case, each.facts
        if not case.has_tags:
            continue
        assert {tag: facts.get(tag) for tag in KEPT} == KEPT, case.name
        assert {tag: facts.get(tag) for tag in PLACE} == pytest.approx(PLACE, abs=1e-4), case.name
        assert "river" in facts["XMP-dc:Subject"], case.name
        if case.has_iptc and each.suffix in WITH_IPTC:
            assert facts.get("IPTC:Keywords") == "river", case.name
        assert not [tag for tag in facts if "Thumbnail" in tag or tag.startswith("IFD1")], case.name


def says_how_it_was_made(results: Sequence[Result]) -> None:
    for each in results:
        assert each.facts.get("XMP-nst:JobKey") is not None, each.case.name
        assert each.facts.get("XMP-nst:Style") is not None, each.case.name


def is_sound(results: Sequence[Result]) -> None:
    allowed = (
        "Compression",  # Deflate is Adobe's addition to TIFF; every reader knows it, the referee does not
        "MakerNote",  # the photo's own are made up
        "Missing required",  # the photo's EXIF has not all that a camera's has
        "is not allowed in",  # exiftool wrote it itself, into a TIFF
        "IPTC-NAA",  # it wants 32-bit numbers, which readers of another byte order would turn round
    )
    warned = [
        (each.picture.name, text)
        for each in results
        for name, text in each.facts.items()
        if name.endswith((":Warning", ":Error")) and not any(word in str(text) for word in allowed)
    ]
    assert not warned, warned[:5]


def keeps_profile_depth_and_alpha(results: Sequence[Result]) -> None:
    for each in results:
        case, shown = each.case, each.shown
        assert shown.metadata.icc == case.kept_icc, case.name
        assert shown.bits == (16 if case.is_deep and each.suffix in DEEP else 8), case.name
        assert (shown.alpha is not None) is (case.has_alpha and each.suffix in CLEAR), case.name
        if shown.alpha is not None and case.suffix != "gif":
            steps = 65535 if case.is_deep and each.suffix in DEEP else 255
            is_rough = {each.suffix, f".{case.suffix}"} & {".avif", ".heic", ".webp"}
            loss = 0.07 if is_rough or case.pixels == "PA" else 1.01 / steps
            assert np.abs(shown.alpha - RAMP).max() < loss, case.name


ALL = (
    is_upright,
    shows_the_scene,
    keeps_its_tags,
    says_how_it_was_made,
    is_sound,
    keeps_profile_depth_and_alpha,
)
