"""One ranking in a process of its own: `python -m bench.ranking LIST [SHELF]`, where the database is on stdin, one line
of JSON on stdout.

Says how long it took to load, how much memory it holds then and held at most, how much of it no other process can have
part in, and how many of a thousand ranks are those that the table gives. With a shelf, a folder, it lays a base there,
or takes that of the process before it.
"""

import asyncio
import gc
import json
import resource
import sys
from pathlib import Path
from random import Random
from time import perf_counter

from palio.competitions.service import rankings
from palio.competitions.types import ListId, RankTerms
from palio.infra.db import Database, Equipment
from palio.infra.shelves import Shelf
from palio.kernel.ids import Actor, RequestId, new_id

SYSTEM = Actor("system", None, RequestId(new_id()))
LOAD_SECONDS_MAX = 300
SAMPLE = 1_000
NOBODYS = ListId(0)
PAGE_BYTES = resource.getpagesize()
RANKS = "select entrant_id, rank from competitions.ranked_on(%s) where entrant_id = any(%s)"


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def _own() -> int:
    """What is no other process's too, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))


async def look(dsn: str, list_id: int, shelf: Shelf | None) -> dict[str, object]:
    """Load, look, compare."""
    database = Database(dsn, equipment=Equipment(shelf=shelf), connections_max=1)
    await database.pool.open(wait=True)
    terms = RankTerms(ListId(list_id), "desc", "share", has_subscore=False, least_score=-(2**62))
    try:
        async with database.begin(SYSTEM, seconds_max=LOAD_SECONDS_MAX) as tx:
            await rankings.load(tx, terms=terms._replace(list_id=NOBODYS))  # what a first one costs is no player's
            before, own_before, began = _resident(), _own(), perf_counter()
            live = await rankings.load(tx, terms=terms)
            seconds = perf_counter() - began
        gc.collect()
        held, own = _resident() - before, _own() - own_before
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
        size = len(live.ranking)
        chance = Random(size)  # noqa: S311 - whom to look at
        places = [live.ranking.page(chance.randrange(size), 1)[0] for _ in range(min(SAMPLE, size))]
        async with database.begin(SYSTEM, seconds_max=LOAD_SECONDS_MAX) as tx:
            rows = await (await tx.execute(RANKS, (list_id, [place.entrant for place in places]))).fetchall()
    finally:
        await database.pool.close()
    ranks = dict(rows)
    right = sum(ranks.get(place.entrant) == place.rank for place in places)
    return {
        "entrants": size,
        "seconds": seconds,
        "held_bytes": held,
        "own_bytes": own,
        "peak_bytes": peak,
        "right": right / len(places),
    }


def main() -> None:
    """Print what was seen."""
    list_id, *folders = sys.argv[1:]
    shelf = Shelf(Path(folders[0])) if folders else None
    sys.stdout.write(json.dumps(asyncio.run(look(sys.stdin.read(), int(list_id), shelf))) + "\n")


if __name__ == "__main__":
    main()
