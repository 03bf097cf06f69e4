"""Pictures: real PNG files, drawn from nothing but a seed, so that the same prompt always gives the same picture."""

from __future__ import annotations

import hashlib
import struct
import zlib

SIZE = 256  # pixels, both ways
_CELLS = 8
_SEED_LENGTH = 16


def seed_of(prompt: str, input_image: str | None = None) -> str:
    """Give the seed (16 hexadecimal digits) for a prompt and the picture to be changed by it."""
    return hashlib.sha256(f"{prompt}\0{input_image or ''}".encode("utf-8", "surrogatepass")).hexdigest()[:_SEED_LENGTH]


def is_seed(text: str) -> bool:
    """Tell whether :func:`seed_of` may have given ``text``."""
    return len(text) == _SEED_LENGTH and not set(text) - set("0123456789abcdef")


def draw(seed: str) -> bytes:
    """Give a PNG of 256 by 256 pixels: a symmetrical pattern of cells in one colour over a gradient of two others."""
    bits = hashlib.sha256(seed.encode()).digest()
    top, bottom, ink = bits[0:3], bits[3:6], bits[6:9]
    rows = bytearray()
    for y in range(SIZE):
        ground = bytes((a * (SIZE - y) + b * y) // SIZE for a, b in zip(top, bottom, strict=True))
        half = [ink if _is_inked(bits, x, y * _CELLS // SIZE) else ground for x in range(_CELLS // 2)]
        rows += b"\0" + b"".join(cell * (SIZE // _CELLS) for cell in [*half, *reversed(half)])  # filter 0, then RGB
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)  # 8 bits, true colour (PNG specification, section 11.2.1)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(rows))) + _chunk(b"IEND", b"")


def _is_inked(bits: bytes, x: int, y: int) -> bool:
    place = y * (_CELLS // 2) + x
    return bool(bits[9 + place // 8] >> place % 8 & 1)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
