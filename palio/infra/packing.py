"""Bytes made small: payloads and pictures are kept as zstd frames of level 1, which cost little more than copying."""

import zstandard

LEVEL = 1


def pack(content: bytes) -> bytes:
    """The bytes as one zstd frame that knows its size."""
    return zstandard.ZstdCompressor(level=LEVEL).compress(content)


def unpack(frame: bytes, *, size_max: int) -> bytes:
    """What was packed. Raises ValueError when it is damaged or larger than `size_max`."""
    try:
        size = zstandard.frame_content_size(frame)
        if 0 <= size <= size_max:
            return zstandard.ZstdDecompressor().decompress(frame)
    except zstandard.ZstdError as problem:
        raise ValueError(str(problem)) from problem
    raise ValueError(f"a frame of {size} bytes, at most {size_max} were expected")
