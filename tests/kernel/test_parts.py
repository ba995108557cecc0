"""Parts of a list that is read newest first: put together they are the list, in either direction."""

from palio.kernel.parts import Cut, Part

NUMBERS = [*range(9, 0, -1)]


def read(part: Part[int]) -> list[int]:
    """What a statement finds of the numbers: at most as many as are wanted, next to where the part begins."""
    if part.newer_than is None:
        return [n for n in NUMBERS if part.older_than is None or n < part.older_than][: part.limit]
    return [n for n in NUMBERS if n > part.newer_than][-part.limit :]


def cut(part: Part[int]) -> Cut[int]:
    return part.cut(read(part.and_one))


def test_the_parts_are_the_list_forwards_and_back() -> None:
    forwards = [cut(Part(4)), cut(Part(4, older_than=6)), cut(Part(4, older_than=2))]
    back = [cut(Part(4, newer_than=1)), cut(Part(4, newer_than=5))]

    assert forwards == [Cut([9, 8, 7, 6], False, True), Cut([5, 4, 3, 2], True, True), Cut([1], True, False)]
    assert back == [Cut([5, 4, 3, 2], True, True), Cut([9, 8, 7, 6], False, True)]


def test_nothing_is_a_part_too() -> None:
    assert cut(Part(4, older_than=1)) == Cut([], True, False)
    assert cut(Part(4, newer_than=9)) == Cut([], False, True)
