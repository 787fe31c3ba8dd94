"""The numbers of TIFF's and EXIF's tags, by name, and which of them are the file's own and not the photo's.

Source: TIFF 6.0; Adobe's Photoshop TIFF notes; EXIF 3.0 (CIPA DC-008); exiftool, Exif.pm, for private ones.
"""

from enum import IntEnum
from typing import Final


class Kind(IntEnum):
    """TIFF's types of values."""

    BYTE = 1
    ASCII = 2
    SHORT = 3
    LONG = 4
    RATIONAL = 5
    SBYTE = 6
    UNDEFINED = 7
    SSHORT = 8
    SLONG = 9
    SRATIONAL = 10
    FLOAT = 11
    DOUBLE = 12
    IFD = 13
    LONG8 = 16  # BigTIFF's, as the next
    IFD8 = 18


class Tag(IntEnum):
    """Tags of a TIFF file's directory, which is an EXIF block's first directory too."""

    NEW_SUBFILE_TYPE = 254
    SUBFILE_TYPE = 255
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    THRESHHOLDING = 263
    CELL_WIDTH = 264
    CELL_HEIGHT = 265
    FILL_ORDER = 266
    MAKE = 271
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_COUNTS = 279  # of bytes
    MIN_SAMPLE = 280
    MAX_SAMPLE = 281
    X_RESOLUTION = 282
    Y_RESOLUTION = 283
    PLANAR = 284
    FREE_OFFSETS = 288
    FREE_COUNTS = 289
    GRAY_RESPONSE_UNIT = 290
    GRAY_RESPONSE_CURVE = 291
    T4_OPTIONS = 292
    T6_OPTIONS = 293
    RESOLUTION_UNIT = 296
    PAGE_NUMBER = 297
    TRANSFER_FUNCTION = 301
    PREDICTOR = 317
    WHITE_POINT = 318
    PRIMARIES = 319
    COLOR_MAP = 320
    HALFTONE_HINTS = 321
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_COUNTS = 325  # of bytes
    SUB_IFDS = 330
    INK_SET = 332
    INK_NAMES = 333
    NUMBER_OF_INKS = 334
    DOT_RANGE = 336
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    MIN_SAMPLE_VALUE = 340
    MAX_SAMPLE_VALUE = 341
    TRANSFER_RANGE = 342
    CLIP_PATH = 343
    X_CLIP_PATH_UNITS = 344
    Y_CLIP_PATH_UNITS = 345
    INDEXED = 346
    JPEG_TABLES = 347
    GLOBAL_PARAMETERS = 400
    DECODE = 433
    JPEG_PROC = 512
    JPEG_OFFSET = 513
    JPEG_COUNT = 514  # of bytes
    JPEG_RESTART_INTERVAL = 515
    JPEG_LOSSLESS_PREDICTORS = 517
    JPEG_POINT_TRANSFORMS = 518
    JPEG_Q_TABLES = 519
    JPEG_DC_TABLES = 520
    JPEG_AC_TABLES = 521
    YCBCR_COEFFICIENTS = 529
    YCBCR_SUBSAMPLING = 530
    YCBCR_POSITIONING = 531
    REFERENCE_BLACK_WHITE = 532
    STRIP_ROW_COUNTS = 559
    XMP = 700
    CFA_REPEAT_PATTERN = 33421
    CFA_PATTERN = 33422
    IPTC = 33723
    RESOURCES = 34377  # Photoshop's
    EXIF_IFD = 34665
    ICC = 34675
    GPS_IFD = 34853
    IMAGE_SOURCE_DATA = 37724  # Photoshop's layers
    WINDOWS_KEYWORDS = 40094  # UTF-16 of the little end first, whatever the block's order
    GDAL_METADATA = 42112
    GDAL_NODATA = 42113
    ANNOTATIONS = 50255  # Photoshop's, at places in px
    DNG_VERSION = 50706
    OWNER_NAME = 65000  # this and the next of Camera Raw
    SERIAL_NUMBER = 65001


class ExifTag(IntEnum):
    """Tags of the EXIF directory."""

    MAKER_NOTE = 0x927C
    SUBJECT_AREA = 0x9214
    COLOR_SPACE = 0xA001
    WIDTH = 0xA002
    HEIGHT = 0xA003
    RELATED_SOUND_FILE = 0xA004
    INTEROP_IFD = 0xA005
    FOCAL_PLANE_X = 0xA20E  # px of the file a unit of the sensor
    FOCAL_PLANE_Y = 0xA20F
    SUBJECT_LOCATION = 0xA214
    UNIQUE_ID = 0xA420
    GAMMA = 0xA500


class InteropTag(IntEnum):
    """Tags of the directory below EXIF's, by DCF."""

    INDEX = 0x0001
    WIDTH = 0x1001
    HEIGHT = 0x1002


class AppleTag(IntEnum):
    """Tags of Apple's maker notes that tie a photo to another file. Source: exiftool, Apple.pm."""

    BURST = 0x000B
    CONTENT_IDENTIFIER = 0x0011  # of the photo's film
    UNIQUE_ID = 0x0015
    FILM_INDEX = 0x0017
    REQUEST = 0x0020
    PHOTO_IDENTIFIER = 0x002B


class CanonTag(IntEnum):
    """Tags of Canon's maker notes that do. Source: exiftool, Canon.pm."""

    UNIQUE_ID = 0x0028  # which the raw file has as well


# Those above that say something of the photo. All others describe the pixels, or a copy or relative of them,
# and would be wrong for a painting.
OF_THE_PHOTO: Final = frozenset(
    {Tag.MAKE, Tag.X_RESOLUTION, Tag.Y_RESOLUTION, Tag.RESOLUTION_UNIT, Tag.WINDOWS_KEYWORDS}
    | {Tag.EXIF_IFD, Tag.GPS_IFD, Tag.DNG_VERSION}
)
STRUCTURE: Final = frozenset(Tag) - OF_THE_PHOTO
