"""Files that people send: pictures are decoded under a cap and drawn anew, so that nothing of the file survives."""

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image, ImageOps

from palio.infra.db import Database
from palio.infra.storage import Storage
from palio.kernel.errors import Invalid, TooLarge

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")  # of a moving one, the first frame
BYTES_MAX = 5 << 20
PIXELS_MAX = 40_000_000
SIDE_MAX = 2_000  # what is longer is made smaller
QUALITY = 85
MEDIA_TYPE = "image/webp"


class NotAPicture(Invalid):
    """The file is no picture that can be read: send a JPEG, PNG, WebP or GIF."""

    code: ClassVar[str] = "file.not_a_picture"


class PictureTooLarge(TooLarge):
    """The picture is too large: at most 5 MiB and 40 million pixels."""

    code: ClassVar[str] = "file.too_large"


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
    if len(content) > BYTES_MAX:
        raise PictureTooLarge
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _drawn(content)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureTooLarge from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError):
        raise NotAPicture from None


def _drawn(content: bytes) -> Picture:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        if image.width * image.height > PIXELS_MAX:
            raise PictureTooLarge
        image.draft("RGB", (SIDE_MAX, SIDE_MAX))  # a large JPEG is decoded smaller from the start
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    upright.thumbnail((SIDE_MAX, SIDE_MAX))
    fresh = Image.new("RGB", upright.size, "white")
    fresh.paste(upright, mask=upright)
    drawn = io.BytesIO()
    fresh.save(drawn, "WEBP", quality=QUALITY)
    told = drawn.getvalue()
    return Picture(told, *fresh.size, hashlib.sha256(told).digest())
