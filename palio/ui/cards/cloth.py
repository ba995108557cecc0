"""A banner as a picture: a rod, two tinctures in one of ten divisions, a swallow tail, as `cloth.css` cuts it."""

from math import radians, tan

from PIL import Image, ImageDraw

from palio.ui.cards.tinctures import OF_BANNER, ROD

FINER = 4  # drawn so many times larger, so that edges come out smooth
TAIL, ROD_HEIGHT, OVERHANG = 0.15, 0.035, 0.05  # parts of the height, the height and the width
WIDE = 10.0  # a point so far away lies outside every cloth

Point = tuple[float, float]
Shape = list[Point]  # corners as parts of the width and the height


def banner(number: int, width: int, height: int) -> Image.Image:
    """The banner of a competition whose id ends with the digit `number`, hung from its rod; the rest is transparent."""
    wide, high = width * FINER, height * FINER
    first, second = OF_BANNER[number]
    cloth = Image.new("RGBA", (wide, high), first)
    pen = ImageDraw.Draw(cloth)
    for shape in _second(number, high / wide):
        pen.polygon([(x * wide, y * high) for x, y in shape], fill=second)
    hung = Image.new("RGBA", (wide, high))
    hung.paste(cloth, mask=_cut(wide, high))
    ImageDraw.Draw(hung).rectangle((0, 0, wide, high * ROD_HEIGHT), fill=ROD)
    return hung.resize((width, height), Image.Resampling.BOX)


def _cut(wide: int, high: int) -> Image.Image:
    mask = Image.new("L", (wide, high))
    inset, tail = wide * OVERHANG, high * (1 - TAIL)
    edge = [(inset, 0), (wide - inset, 0), (wide - inset, high), (wide / 2, tail), (inset, high)]
    ImageDraw.Draw(mask).polygon(edge, fill=255)
    return mask


def _second(number: int, ratio: float) -> list[Shape]:
    """Where the second tincture lies; `ratio` is height to width, which angles need."""
    steep = WIDE / ratio  # how far down a line of 45 degrees gets over `WIDE` widths
    narrow = WIDE * tan(radians(22)) * ratio
    divisions: dict[int, list[Shape]] = {
        0: [[(1, 0), (1, 1), (0, 1)]],
        1: [_box(0.2, 0, 0.4, 1), _box(0.6, 0, 0.8, 1)],
        2: [[(0.5, 0.42), (0.5 + WIDE, 0.42 + steep), (0.5 - WIDE, 0.42 + steep)]],
        3: [_box(0.5, 0.46, 1, 1), _box(0, 0, 0.5, 0.46)],
        4: [_box(0.5, 0, 1, 1)],
        5: [_box(0, 0.32, 1, 0.62)],
        6: [[(-1, -1.28), (2, 1.72), (2, 2.28), (-1, -0.72)]],
        7: [
            [(0.5, 0.46), (0.5 + WIDE, 0.46 - steep), (0.5 + WIDE, 0.46 + steep)],
            [(0.5, 0.46), (0.5 - WIDE, 0.46 - steep), (0.5 - WIDE, 0.46 + steep)],
        ],
        8: [[(0.5, 0.82), (0.5 - narrow, 0.82 - WIDE), (0.5 + narrow, 0.82 - WIDE)]],
        9: [_box(0, 0.18, 1, 0.36), _box(0, 0.54, 1, 0.72), _box(0, 0.9, 1, 1)],
    }
    return divisions[number]


def _box(left: float, top: float, right: float, bottom: float) -> Shape:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
