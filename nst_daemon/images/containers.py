"""What kind of file a picture is, by its first bytes. Pure."""

from typing import Final

from nst_daemon.images import png

HEIC_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
GENERIC_BRANDS: Final = (b"mif1", b"msf1")  # pictures of either kind: the compatible brands tell
AVIF_BRANDS: Final = (b"avif", b"avis")
LONGEST_SIGNATURE: Final = 16  # bytes


FOREIGN: Final = (  # first bytes of pictures that are not read
    (b"8BPS", "Photoshop's own format"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xffO\xffQ", "JPEG 2000"),
    (b"%PDF", "PDF"),
    (b"gimp xcf", "GIMP's own format"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"FOVb", "camera raw of Sigma"),
)


def foreign(head: bytes) -> str:
    """Return the name of a known format that is not read; empty for all else."""
    return next((name for signature, name in FOREIGN if head.startswith(signature)), "")


def kind(head: bytes) -> str:
    """Return "jpeg", "png", "tiff", "webp", "avif", "heic", "gif", "bmp" or "", by a file's first bytes."""
    head = head[:64]
    for signature, name in (
        (b"\xff\xd8\xff", "jpeg"),
        (png.SIGNATURE, "png"),
        (b"II*\0", "tiff"),
        (b"MM\0*", "tiff"),
        (b"II+\0", "tiff"),
        (b"MM\0+", "tiff"),
        (b"GIF8", "gif"),
        (b"BM", "bmp"),
    ):
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _brand(head)
    return ""


def _brand(head: bytes) -> str:
    major = head[8:12]
    if major in AVIF_BRANDS or (major in GENERIC_BRANDS and any(brand in head for brand in AVIF_BRANDS)):
        return "avif"
    return "heic" if major in HEIC_BRANDS + GENERIC_BRANDS else ""
