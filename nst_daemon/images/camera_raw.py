"""Camera raw, developed by LibRaw as plainly as can be: the camera's white balance, full size, 16 bits, sRGB.

Only import of rawpy, which is the extra `raw`; without it every raw file is refused with that remedy.
"""

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nst_daemon.errors import PhotoError
from nst_daemon.images import iptc, metadata, tiff
from nst_daemon.images.limits import Limits
from nst_daemon.images.metadata import Metadata
from nst_daemon.system import extras
from nst_daemon.system.extras import Extra

SRGB_GAMMA: Final = (2.4, 12.92)  # power and slope of the straight part; LibRaw's own default is BT.709
NO_EXIF: Final = "Its EXIF could not be read from the raw file and was left out."


def read(content: bytes, limits: Limits) -> NDArray[np.uint16]:
    """Return a raw photo developed and upright. Shapes: (H, W, 3), sRGB.

    Raises:
        PhotoError: rawpy is not installed, or the photo is beyond a limit.
        ImportError: rawpy is installed, and cannot be loaded now.
        ValueError: LibRaw cannot read it.
    """
    rawpy = _rawpy(limits.name)
    try:
        with rawpy.imread(io.BytesIO(content)) as raw:
            limits.check(raw.sizes.width, raw.sizes.height)
            pixels: NDArray[np.uint16] = raw.postprocess(
                use_camera_wb=True,
                half_size=False,
                output_bps=16,
                output_color=rawpy.ColorSpace.sRGB,
                gamma=SRGB_GAMMA,
            )
    except rawpy.LibRawUnsufficientMemoryError as error:  # its own spelling
        raise MemoryError from error
    except rawpy.LibRawError as error:
        reason = error.args[0] if error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"camera raw: {text}") from error
    return pixels


def _rawpy(name: str) -> Any:
    try:
        import rawpy
    except ModuleNotFoundError as error:
        raise PhotoError(
            f"{name} is camera raw, and rawpy is not installed.",
            remedy=f"{extras.remedy(Extra.RAW)}, or export a JPEG or a 16-bit TIFF from a raw editor.",
        ) from error
    except OSError as error:
        raise ImportError(f"rawpy: {error}") from error
    return rawpy


def about(content: bytes) -> tuple[Metadata, tuple[str, ...]]:
    """Return what a raw file says of the photo, where it is TIFF outside, and notes."""
    try:
        # Its profile and Photoshop's other resources are those of a preview.
        found = metadata.of_tiff(tiff.parse(content))
    except ValueError:
        return Metadata(), (NO_EXIF,)
    kept = {iptc.RECORD: found.iptc} if found.iptc else None
    return Metadata(exif=found.exif, xmp=found.xmp, resources=kept), () if found.exif else (NO_EXIF,)
