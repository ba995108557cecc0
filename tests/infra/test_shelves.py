"""Columns that processes share as files: whole or not there, believed only where nothing about them is odd."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from palio.infra.shelves import HEAD_BYTES, Book, Place, Shelf

NUMBERS, OTHERS = np.arange(5), np.arange(3) - 7


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "ranks")


@pytest.fixture
async def place(shelf: Shelf) -> Place:
    """One on which generation 7 lies."""
    place = shelf.place("run", "list", "kind")
    async with place.turn() as is_ours:
        assert is_ours
        place.put(7, {"horizon": 70}, [NUMBERS, OTHERS, np.empty(0, np.int64)])
    return place


def told(book: Book | None) -> tuple[int, dict[str, int], list[list[int]]] | None:
    return (book.generation, dict(book.facts), [column.tolist() for column in book.columns]) if book else None


def file_of(folder: Path) -> Path:
    (found,) = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return found


SEVEN = (7, {"horizon": 70}, [[0, 1, 2, 3, 4], [-7, -6, -5], []])


async def test_what_is_laid_down_is_read_by_everybody_and_changed_by_nobody(place: Place, tmp_path: Path) -> None:
    read = Shelf(tmp_path / "ranks").place("run", "list", "kind").newest()

    assert told(read) == SEVEN
    assert read is not None
    with pytest.raises(ValueError, match="read-only"):
        read.columns[0][0] = 1
    assert place.newest(above=7) is None
    assert told(place.newest(above=6)) == SEVEN


def test_only_its_owner_can_open_it(place: Place, tmp_path: Path) -> None:
    modes = {path.relative_to(tmp_path).parts[1:]: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}

    assert {mode for parts, mode in modes.items() if len(parts) < 4} == {0o700}
    assert {mode for parts, mode in modes.items() if len(parts) == 4} == {0o600}


async def test_newer_columns_take_the_place_of_older_ones_which_stay_with_whoever_has_them(
    place: Place, tmp_path: Path
) -> None:
    old = place.newest()
    place.put(8, {}, [OTHERS])

    assert told(old) == SEVEN
    assert told(place.newest(above=7)) == (8, {}, [OTHERS.tolist()])
    assert file_of(tmp_path).name.startswith("8-")


def cut_short(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(HEAD_BYTES + 20)


def altered(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(HEAD_BYTES + 8)
        file.write(b"\7")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def lengthened(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(8))


def called_newer(path: Path) -> None:
    path.rename(path.with_name(path.name.replace("7-", "9-", 1)))


def linked(path: Path) -> None:
    path.rename(path.parents[4] / "elsewhere")
    path.symlink_to(path.parents[4] / "elsewhere")


def without_sense(path: Path) -> None:
    path.rename(path.with_name("7-"))


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [cut_short, altered, emptied, lengthened, called_newer, linked, without_sense, piped])
async def test_what_is_unsound_is_as_if_it_were_not_there_and_laid_anew(
    place: Place, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(file_of(tmp_path / "ranks"))
    assert place.newest() is None

    place.put(8, {}, [OTHERS])
    assert told(place.newest()) == (8, {}, [OTHERS.tolist()])
    file_of(tmp_path / "ranks")  # and nothing else lies there


async def test_a_file_of_another_place_is_nobodys_even_under_its_own_name(place: Place, tmp_path: Path) -> None:
    """Copied whole: another list, another server, another order."""
    content = file_of(tmp_path)
    for run, thing, kind in (("other", "list", "kind"), ("run", "other", "kind"), ("run", "list", "other")):
        here = tmp_path / "ranks" / run / thing / kind
        here.mkdir(parents=True, exist_ok=True)
        (here / content.name).write_bytes(content.read_bytes())
        assert told(place.newest()) == SEVEN
        assert Place(here, f"{run}/{thing}/{kind}").newest() is None


async def test_one_lays_at_a_time_and_who_waits_comes_next(place: Place, tmp_path: Path) -> None:
    other = Shelf(tmp_path / "ranks").place("run", "list", "kind")
    another = other.turn(seconds_max=5)
    async with place.turn() as is_ours, other.turn() as is_theirs:
        assert (is_ours, is_theirs) == (True, False)
        assert told(other.newest()) == SEVEN
    async with another as is_theirs:
        assert is_theirs


async def test_what_other_runs_left_is_removed_and_a_thing_can_be_dropped(place: Place, tmp_path: Path) -> None:
    Shelf(tmp_path / "ranks").place("run", "other", "kind")
    assert told(place.newest()) == SEVEN

    after = Shelf(tmp_path / "ranks").place("later", "list", "kind")
    assert place.newest() is None
    async with after.turn():
        after.put(1, {}, [NUMBERS])
    Shelf(tmp_path / "ranks").drop("list")
    assert after.newest() is None


async def test_who_is_killed_while_he_lays_leaves_the_last_whole_one_and_the_turn(shelf: Shelf, tmp_path: Path) -> None:
    """Five times, each at another moment of a write; the one who follows finds no half of anything."""
    place, chance, last = shelf.place("run", "list", "kind"), Random(3), 0  # noqa: S311 - when to kill
    for _ in range(5):
        words = (sys.executable, "-m", "tests.infra.shelf_alone", str(tmp_path / "ranks"), str(last + 1))
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        told_first = await process.stdout.readline()
        async with place.turn() as is_ours:
            assert not is_ours
        await asyncio.sleep(chance.random() / 20)
        process.kill()
        known = [int(line) for line in (told_first + await process.stdout.read()).splitlines()]
        assert await process.wait() == -signal.SIGKILL
        found = place.newest()
        assert found is not None
        assert found.generation >= known[-1]  # it may be killed between the file and the word
        assert {found.generation} == set(found.columns[0].tolist())
        last = found.generation
        async with place.turn() as is_ours:
            assert is_ours
    place.put(last + 1, {}, [NUMBERS])
    assert file_of(tmp_path).name.startswith(f"{last + 1}-")
