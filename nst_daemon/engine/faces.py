"""Where faces are on a photo. There the photo counts more: a face that strokes have bent is no face any more.

Pure. Source: Viola and Jones 2001, extended by Lienhart and Maydt 2002: OpenCV's cascade for faces from the
    front.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from cv2 import data
from numpy.typing import NDArray

CASCADE: Final = "haarcascade_frontalface_alt2.xml"  # no false finds on our trial pictures
LONGER: Final = 512  # px, of the picture that is searched
SMALLEST: Final = 24  # px of it; smaller faces have too few pixels to be kept
STEP: Final = 1.1  # between the sizes that are searched
LEAST_FINDS: Final = 5  # neighbouring finds that make a face
GUIDE_LONGER: Final = 256  # px, of a guide
ROUND: Final = 0.7  # of the bell that a face gets: half of its height at the edge of the ellipse
WIDE, TALL = 0.57, 0.73  # semi-axes of the ellipse, relative to the found square: with chin and hair

Picture = NDArray[np.float32]  # (H, W, 3), sRGB, 0..1


@dataclass(frozen=True, slots=True)
class Face:
    """A square around a face, relative to the picture's width and height."""

    left: float
    top: float
    width: float
    height: float


def find_faces(rgb: Picture) -> list[Face]:
    """Return the faces of people who look this way, from left to right. Shapes: (H, W, 3)."""
    height, width = rgb.shape[:2]
    factor = min(1.0, LONGER / max(width, height))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor((small.clip(0, 1) * 255).round().astype(np.uint8), cv2.COLOR_RGB2GRAY)
    found = _cascade().detectMultiScale(
        grey, scaleFactor=STEP, minNeighbors=LEAST_FINDS, minSize=(SMALLEST, SMALLEST)
    )
    boxes = [tuple(map(int, box)) for box in found]
    return [Face(x / size[0], y / size[1], w / size[0], h / size[1]) for x, y, w, h in sorted(boxes)]


def face_guide(rgb: Picture, weight: float) -> NDArray[np.float32] | None:
    """Return how much the photo counts where: `weight` at faces, 1 elsewhere; None if it has no face.

    Shapes: (H, W, 3) -> (h, w), of the same shape and at most 256 px.
    """
    faces = find_faces(rgb) if weight != 1 else []
    if not faces:
        return None
    height, width = rgb.shape[:2]
    factor = min(1.0, GUIDE_LONGER / max(width, height))
    down, across = max(1, round(height * factor)), max(1, round(width * factor))
    y, x = (np.arange(down)[:, None] + 0.5) / down, (np.arange(across)[None, :] + 0.5) / across
    share = np.zeros((down, across))
    for face in faces:
        aside = (x - face.left - face.width / 2) / (WIDE * face.width)
        above = (y - face.top - face.height / 2) / (TALL * face.height)
        share = np.maximum(share, np.exp(-ROUND * (aside**2 + above**2) ** 2))
    return (1 + (weight - 1) * share).astype(np.float32)


@cache
def _cascade() -> cv2.CascadeClassifier:
    cv2.setNumThreads(1)  # a tenth of a second on one core; its pool would compete with torch's
    return cv2.CascadeClassifier(str(Path(data.haarcascades) / CASCADE))
