"""Files that people send: pictures are decoded under a cap and drawn anew, so that nothing of the file survives."""

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image, ImageOps

from palio.infra.db import Database
from palio.infra.storage import Storage
from palio.kernel.errors import Invalid, TooLarge, TooMany

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")  # of a moving one, the first frame
BYTES_MAX = 5 << 20
PIXELS_MAX = 40_000_000
SIDE_MAX = 2_000  # what is longer is made smaller
STILL = ("JPEG", "PNG", "WEBP")
FACE_BYTES_MAX, FACE_SIDE = 2 << 20, 512
DAY_BYTES_MAX = 50 << 20  # that one person may send in a day
QUALITY = 85
MEDIA_TYPE = "image/webp"


class NotAPicture(Invalid):
    """The file is no picture that can be read: send one of `formats`."""

    code: ClassVar[str] = "file.not_a_picture"


class PictureTooLarge(TooLarge):
    """The picture is too large: at most `bytes_max` bytes and 40 million pixels."""

    code: ClassVar[str] = "file.too_large"


class SentEnough(TooMany):
    """Files of at most `bytes_max` bytes are taken of you in a day; send more tomorrow."""

    code: ClassVar[str] = "file.sent_enough"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as we have drawn it anew, WebP."""

    content: bytes
    width: int
    height: int
    sha256: bytes


def storage_of(database: Database) -> Storage:
    """Where this process stores files. Raises LookupError if it has no such place."""
    if database.equipment.storage is None:
        raise LookupError("this process has no storage")
    return database.equipment.storage


def redraw(content: bytes) -> Picture:
    """The picture without anything that is none of it: place, camera, profile, comments, whatever follows its end.

    It costs the processor some tenths of a second: call it beside the loop. Refuses with NotAPicture, PictureTooLarge.
    """
    upright = _decoded(content, FORMATS, BYTES_MAX)
    upright.thumbnail((SIDE_MAX, SIDE_MAX))
    return _drawn(upright)


def redraw_face(content: bytes) -> Picture:
    """The middle of a still picture as a square of 512 pixels, likewise without anything that is none of it.

    Call it beside the loop. Refuses with NotAPicture, PictureTooLarge (from 2 MiB on).
    """
    upright = _decoded(content, STILL, FACE_BYTES_MAX)
    return _drawn(ImageOps.fit(upright, (FACE_SIDE, FACE_SIDE)))


def _decoded(content: bytes, formats: tuple[str, ...], bytes_max: int) -> Image.Image:
    """What the file shows, upright; of a moving one, the first frame."""
    if len(content) > bytes_max:
        raise PictureTooLarge(bytes_max=bytes_max)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=formats) as image:
                if image.width * image.height > PIXELS_MAX:
                    raise PictureTooLarge(bytes_max=bytes_max)
                image.draft("RGB", (SIDE_MAX, SIDE_MAX))  # a large JPEG is decoded smaller from the start
                return ImageOps.exif_transpose(image).convert("RGBA")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureTooLarge(bytes_max=bytes_max) from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError):
        raise NotAPicture(formats=formats) from None


def _drawn(upright: Image.Image) -> Picture:
    fresh = Image.new("RGB", upright.size, "white")
    fresh.paste(upright, mask=upright)
    drawn = io.BytesIO()
    fresh.save(drawn, "WEBP", quality=QUALITY)
    told = drawn.getvalue()
    return Picture(told, *fresh.size, hashlib.sha256(told).digest())
