"""One flight at a time, everything that came up meanwhile in the next: each item its own outcome, or all the same."""

import asyncio
from collections.abc import Sequence

import pytest

from palio.kernel.batches import ITEMS_OF_A_FLUSH_MAX, Gatherer, Sharer


class Airline:
    """Flights that last until they are let go; each answers an item with ten times its number."""

    def __init__(self, *, is_grounded: bool = True) -> None:
        self.flights: list[list[int]] = []
        self.departed = asyncio.Event()
        self.landing = asyncio.Event()
        if not is_grounded:
            self.landing.set()

    async def flush(self, items: Sequence[int]) -> list[int | str]:
        self.flights.append(list(items))
        self.departed.set()
        await self.landing.wait()
        if -1 in items:
            raise OSError("the engine")
        return ["refused" if item == 13 else item * 10 for item in items]


async def test_the_first_item_flies_at_once_and_the_others_share_the_next_flight():
    airline = Airline()
    gatherer = Gatherer(airline.flush)
    first = gatherer.submit(1)
    await airline.departed.wait()
    others = [gatherer.submit(number) for number in (2, 3, 4)]
    airline.landing.set()

    assert [await answer for answer in (first, *others)] == [10, 20, 30, 40]
    assert airline.flights == [[1], [2, 3, 4]]


async def test_a_refused_item_never_fails_its_neighbours():
    gatherer = Gatherer(Airline(is_grounded=False).flush)
    assert await asyncio.gather(*map(gatherer.submit, (12, 13, 14))) == [120, "refused", 140]


async def test_a_failed_flush_reaches_all_of_its_batch_and_nobody_else():
    airline = Airline()
    gatherer = Gatherer(airline.flush)
    doomed = [gatherer.submit(number) for number in (1, -1)]
    await airline.departed.wait()
    safe = gatherer.submit(3)
    airline.landing.set()

    outcomes = await asyncio.gather(*doomed, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["the engine", "the engine"]
    assert await safe == 30


async def test_too_few_outcomes_are_a_bug_that_reaches_everybody():
    async def flush(items):
        return list(items)[1:]

    gatherer = Gatherer(flush)
    outcomes = await asyncio.gather(*map(gatherer.submit, (1, 2)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["1 outcomes for 2 items"] * 2


async def test_whoever_gives_up_before_the_flight_is_left_out_and_during_it_disturbs_nobody():
    airline = Airline()
    gatherer = Gatherer(airline.flush)
    flying, companion = gatherer.submit(1), gatherer.submit(2)
    await airline.departed.wait()
    flying.cancel()
    waiting, patient = gatherer.submit(3), gatherer.submit(4)
    waiting.cancel()
    airline.landing.set()

    assert [await companion, await patient] == [20, 40]
    assert airline.flights == [[1, 2], [4]]


async def test_a_flight_takes_two_thousand_items_in_the_order_they_came():
    airline = Airline(is_grounded=False)
    gatherer = Gatherer(airline.flush)
    numbers = range(100, 100 + ITEMS_OF_A_FLUSH_MAX + 500)
    assert await asyncio.gather(*map(gatherer.submit, numbers)) == [number * 10 for number in numbers]
    assert [len(flight) for flight in airline.flights] == [2_000, 500]
    assert [*airline.flights[0], *airline.flights[1]] == list(numbers)


async def test_several_flights_may_be_under_way_if_that_is_asked_for():
    airline = Airline()
    gatherer = Gatherer(airline.flush, flights_max=2)
    answers = []
    for number in (1, 2, 3):
        answers.append(gatherer.submit(number))
        await asyncio.sleep(0)
    assert airline.flights == [[1], [2]]
    airline.landing.set()
    assert await asyncio.gather(*answers) == [10, 20, 30]


async def test_a_flight_that_fills_leaves_beside_another_with_no_fewer_aboard():
    airline = Airline()
    gatherer = Gatherer(airline.flush, flights_max=2, fills=True)
    answers = [gatherer.submit(number) for number in (1, 2, 3)]
    await airline.departed.wait()
    for number in (4, 5):
        answers.append(gatherer.submit(number))
        await asyncio.sleep(0)
    assert airline.flights == [[1, 2, 3]]
    answers.append(gatherer.submit(6))
    await asyncio.sleep(0)
    assert airline.flights == [[1, 2, 3], [4, 5, 6]]
    answers.append(gatherer.submit(7))
    airline.landing.set()
    assert await asyncio.gather(*answers) == [10, 20, 30, 40, 50, 60, 70]


async def test_what_waits_for_a_fuller_flight_leaves_when_the_one_before_it_has_landed():
    airline = Airline()
    gatherer = Gatherer(airline.flush, flights_max=2, fills=True)
    failing = [gatherer.submit(number) for number in (1, -1)]
    await airline.departed.wait()
    waiting = gatherer.submit(3)
    airline.landing.set()
    assert await waiting == 30
    assert all(isinstance(each, OSError) for each in await asyncio.gather(*failing, return_exceptions=True))
    assert airline.flights == [[1, -1], [3]]
    assert await gatherer.submit(4) == 40


async def test_whoever_waits_leaves_before_those_who_arrived_are_answered():
    order: list[str] = []

    async def flush(items: Sequence[int]) -> Sequence[int]:
        order.append(f"{len(items)} leave")
        await asyncio.sleep(0.01)
        return items

    gatherer = Gatherer(flush)
    first = gatherer.submit(1)
    first.add_done_callback(lambda _: order.append("answered"))
    await asyncio.sleep(0)
    await asyncio.gather(first, gatherer.submit(2), gatherer.submit(3))
    assert order == ["1 leave", "2 leave", "answered"]


async def test_a_gatherer_whose_flight_was_cancelled_cancels_its_passengers_and_goes_on():
    airline = Airline()
    gatherer = Gatherer(airline.flush)
    passenger = gatherer.submit(1)
    await airline.departed.wait()
    (flight,) = gatherer._flights
    flight.cancel()
    with pytest.raises(asyncio.CancelledError):
        await passenger
    airline.landing.set()
    assert await gatherer.submit(2) == 20


class Board:
    """Something that changes while it is read: a read answers what stood there when it began."""

    def __init__(self) -> None:
        self.leader = "ada"
        self.reads = 0
        self.begun, self.end = asyncio.Event(), asyncio.Event()

    async def read(self, key: str) -> str:
        self.reads += 1
        leader = self.leader
        self.begun.set()
        await self.end.wait()
        if key == "gone":
            raise LookupError(key)
        return leader


async def test_whoever_asks_during_a_read_shares_the_next_and_is_told_what_is_new():
    board = Board()
    sharer = Sharer(board.read)
    early = asyncio.create_task(sharer.ask("board"))
    await board.begun.wait()
    board.leader = "bela"
    late = [asyncio.create_task(sharer.ask("board")) for _ in range(1_000)]
    await asyncio.sleep(0)
    board.end.set()

    assert await early == "ada"
    assert set(await asyncio.gather(*late)) == {"bela"}  # joining the read under way would have told them "ada"
    assert board.reads == 2
    assert not sharer._gatherers


async def test_keys_are_read_apart_and_a_failure_is_told_to_all_who_share_it():
    board = Board()
    board.end.set()
    sharer = Sharer(board.read)

    answers = await asyncio.gather(
        *(sharer.ask(key) for key in ("board", "gone", "gone", "board")), return_exceptions=True
    )

    assert [answers[0], answers[3]] == ["ada", "ada"]
    assert all(isinstance(answer, LookupError) for answer in answers[1:3])
    assert board.reads == 2
    assert not sharer._gatherers
