"""Pictures of strangers: only pictures are let in, drawn anew, and what is hidden in the file stays outside."""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from palio.infra.files import BYTES_MAX, FACE_BYTES_MAX, NotAPicture, Picture, PictureTooLarge, redraw, redraw_face

CORPUS = sorted(Path("tests/corpora/upload").iterdir())  # the name says what happens: a new case needs no code
REFUSALS = {"refused": NotAPicture, "too_large": PictureTooLarge}
PLANTED = (b"PLANTED-SECRET", b"<script", b"<?php", b"PK\x03\x04", b"Exif", b"ICCP", b"XMP ", b"ANIM")
MEMORY_MIB_MAX = 64


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


@pytest.mark.parametrize("draw", [redraw, redraw_face])
@pytest.mark.parametrize("path", [one for one in CORPUS if not one.name.startswith("inert-")], ids=lambda one: one.name)
def test_what_the_corpus_says_is_refused_is_refused(path: Path, draw: Callable[[bytes], Picture]) -> None:
    with pytest.raises(REFUSALS[path.name.partition("-")[0]]):
        draw(path.read_bytes())


@pytest.mark.parametrize("draw", [redraw, redraw_face])
@pytest.mark.parametrize("path", [one for one in CORPUS if one.name.startswith("inert-")], ids=lambda one: one.name)
def test_what_the_corpus_says_is_inert_comes_out_as_a_picture_alone(
    path: Path, draw: Callable[[bytes], Picture]
) -> None:
    drawn = draw(path.read_bytes())
    assert [one for one in PLANTED if one in drawn.content] == []
    with Image.open(io.BytesIO(drawn.content)) as image:
        image.load()
        assert (image.format, getattr(image, "n_frames", 1), image.getexif()) == ("WEBP", 1, {})
    assert len(drawn.content) == 8 + struct.unpack("<I", drawn.content[4:8])[0], "nothing follows the end"


def test_the_corpus_is_as_large_as_promised() -> None:
    assert sum(not one.name.startswith("inert-") for one in CORPUS) >= 25
    assert sum(one.name.startswith("inert-") for one in CORPUS) >= 15


def test_a_face_is_a_square_and_of_a_moving_picture_the_first_frame() -> None:
    for name in ("inert-very-wide.png", "inert-one-pixel.png", "inert-on-its-side.jpg"):
        drawn = redraw_face(Path("tests/corpora/upload", name).read_bytes())
        assert (drawn.width, drawn.height) == (512, 512)
    drawn = redraw_face(Path("tests/corpora/upload/inert-animated.webp").read_bytes())
    with Image.open(io.BytesIO(drawn.content)) as image:
        red, green, blue = image.convert("RGB").getpixel((256, 256))  # type: ignore[misc]  # of three channels
    assert red > 200 and green < 60 and blue < 60


def test_a_face_is_still_and_at_most_two_mib() -> None:
    with pytest.raises(NotAPicture):
        redraw_face(picture("GIF"))
    with pytest.raises(PictureTooLarge):
        redraw_face(bytes(FACE_BYTES_MAX + 1))
    fits = picture("PNG") + bytes(FACE_BYTES_MAX - len(picture("PNG")))
    assert redraw_face(fits).width == 512


def test_a_bomb_of_fifty_thousand_squared_costs_next_to_nothing() -> None:
    """In a process of its own: what it has taken at most is told in kilobytes."""
    program = """if True:
        import resource
        from pathlib import Path
        from palio.infra.files import PictureTooLarge, redraw, redraw_face
        from palio.kernel.errors import Refusal
        redraw(Path("tests/corpora/upload/inert-wrong-name.png").read_bytes())  # whatever is loaded once
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for draw in (redraw, redraw_face):
            try:
                draw(Path("tests/corpora/upload/too_large-bomb-50000.png").read_bytes())
                print("drawn")
            except PictureTooLarge:
                pass
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert int(told.stdout) <= MEMORY_MIB_MAX
