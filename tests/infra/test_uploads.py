"""Pictures of strangers: only pictures are let in, drawn anew, and what is hidden in the file stays outside."""

import io
import struct
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from palio.infra.files import BYTES_MAX, NotAPicture, PictureTooLarge, redraw


def picture(kind: str, size: tuple[int, int] = (40, 30), **saved: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "#1d4ed8").save(out, kind, **saved)  # type: ignore[arg-type]  # what Pillow takes
    return out.getvalue()


def huge_png(side: int) -> bytes:
    """A head that promises a picture nobody can hold; there is nothing behind it."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", len(head))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + b"\0\0\0\x10IDAT"
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_picture_is_drawn_anew_as_webp(kind: str) -> None:
    drawn = redraw(picture(kind))
    with Image.open(io.BytesIO(drawn.content)) as image:
        assert (image.format, image.size, drawn.width, drawn.height) == ("WEBP", (40, 30), 40, 30)


def test_nothing_beside_the_picture_survives() -> None:
    exif = Image.Exif()
    exif[0x010E] = "SECRET-PLACE"
    words = PngInfo()
    words.add_text("Comment", "SECRET-PLACE")
    for content in (
        picture("JPEG", exif=exif.tobytes()) + b"SECRET-PLACE<script>",
        picture("PNG", pnginfo=words),
        picture("WEBP", exif=exif.tobytes(), icc_profile=b"SECRET-PLACE" * 20),
    ):
        assert b"SECRET-PLACE" in content
        drawn = redraw(content)
        assert b"SECRET-PLACE" not in drawn.content and b"script" not in drawn.content
        with Image.open(io.BytesIO(drawn.content)) as image:
            assert not image.getexif() and "icc_profile" not in image.info


def test_a_photograph_stands_upright_and_is_made_small() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # held on its side
    drawn = redraw(picture("JPEG", (4_000, 1_000), exif=exif.tobytes()))
    assert (drawn.width, drawn.height) == (500, 2_000)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<html><script>alert(1)</script>",
        b"%PDF-1.7",
        b"MZ\x90\x00",
        picture("BMP"),
        picture("PNG")[:60],
        picture("JPEG")[:200],
        b"GIF89a" + bytes(20),
        b"RIFF\x10\x00\x00\x00WEBPVP8 ",
        b"\xff\xd8\xff" + bytes(500),
    ],
)
def test_what_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(NotAPicture):
        redraw(content)


@pytest.mark.parametrize("content", [huge_png(50_000), huge_png(7_000), huge_png(2**31 - 1), bytes(BYTES_MAX + 1)])
def test_what_nobody_could_hold_is_refused_before_it_is_decoded(content: bytes) -> None:
    with pytest.raises(PictureTooLarge):
        redraw(content)
