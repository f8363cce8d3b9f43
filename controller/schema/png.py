"""Is this a PNG? Answered from its chunks, without a decoder, so that a file can't cost more than its size."""

import struct
import zlib

MAX_SIDE_PX = 2048

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAME_BYTES = 12  # length, type and checksum around the data of a chunk


def size_px(content: bytes) -> tuple[int, int]:
    """Return width and height; ValueError with the reason when the bytes are no whole PNG of a sensible size."""
    if not content.startswith(_SIGNATURE):
        raise ValueError("is no PNG; save the picture as PNG")
    names: list[bytes] = []
    at = len(_SIGNATURE)
    width = height = 0
    while at < len(content) and b"IEND" not in names:
        name, data = _chunk(content, at)
        if not names:
            width, height = _header(name, data)
        names.append(name)
        at += len(data) + _FRAME_BYTES
    if b"IEND" not in names or b"IDAT" not in names:
        raise ValueError("is a PNG that ends too early; export it again")
    return width, height


def _chunk(content: bytes, at: int) -> tuple[bytes, bytes]:
    if at + _FRAME_BYTES > len(content):
        raise ValueError("is a PNG that ends too early; export it again")
    length, name = struct.unpack_from(">I4s", content, at)
    data = content[at + 8 : at + 8 + length]
    if len(data) < length or at + _FRAME_BYTES + length > len(content):
        raise ValueError("is a PNG that ends too early; export it again")
    (checksum,) = struct.unpack_from(">I", content, at + 8 + length)
    if zlib.crc32(name + data) != checksum:
        raise ValueError("is a damaged PNG (a checksum is wrong); export it again")
    return name, data


def _header(name: bytes, data: bytes) -> tuple[int, int]:
    if name != b"IHDR" or len(data) != 13:
        raise ValueError("is a PNG without a header; export it again")
    width, height = struct.unpack_from(">II", data)
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise ValueError(f"is {width}x{height} px; allowed: 1 to {MAX_SIDE_PX} px a side")
    return width, height
