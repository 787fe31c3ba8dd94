"""Bytes <-> sRGB pictures: photos and styles loaded, results written, with all that they carry.

Only importer of PIL and of defusedxml. Knows no job, no style library and no network.
"""

from nst_daemon.images.labels import read_keywords, read_provenance
from nst_daemon.images.loading import load_mask, load_photo, load_style
from nst_daemon.images.metadata import Metadata
from nst_daemon.images.photo import Photo
from nst_daemon.images.saving import resize, save_preview, save_result

__all__ = [
    "Metadata",
    "Photo",
    "load_mask",
    "load_photo",
    "load_style",
    "read_keywords",
    "read_provenance",
    "resize",
    "save_preview",
    "save_result",
]
