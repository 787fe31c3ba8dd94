"""What a BMP file says of its colours and its length, which Pillow passes over. Pure: bytes in.

Source: Microsoft, BITMAPFILEHEADER, BITMAPINFOHEADER and BITMAPV5HEADER.
"""

import struct
from typing import Final

HEAD: Final = 14  # bytes, before the header that tells of the picture
OS2, V5 = 12, 124  # sizes of that header
PACKED: Final = (1, 2, 4, 5)  # run lengths, JPEG, PNG


def profile(content: bytes) -> bytes | None:
    """Return the embedded profile; None where there is none."""
    if len(content) < HEAD + V5 or struct.unpack_from("<I", content, HEAD)[0] < V5:
        return None
    space, start, size = struct.unpack_from("<4s52xII", content, HEAD + 56)
    if space != b"DEBM":  # MBED, as a number
        return None
    return content[HEAD + start : HEAD + start + size]


def needed(content: bytes) -> int | None:
    """Return the length that its pixels ask for; None where they are packed. Raises: struct.error."""
    start, head = struct.unpack_from("<II", content, 10)
    if head == OS2:
        width, height, _, bits = struct.unpack_from("<HHHH", content, HEAD + 4)
        packing = 0
    else:
        width, height, _, bits, packing = struct.unpack_from("<iiHHI", content, HEAD + 4)
    if packing in PACKED:
        return None
    length: int = start + (abs(width) * bits + 31) // 32 * 4 * abs(height)
    return length
