"""A process that knows one ranking, and tells whatever it is asked: see test_bases.

Each line on stdin has it look at the list again; the answer is a line of JSON.
"""

import asyncio
import json
import sys
from pathlib import Path

from palio.competitions.service import rankings
from palio.competitions.types import ListId, RankTerms
from palio.infra.db import Database, Equipment
from palio.infra.shelves import Shelf
from palio.kernel.ids import Actor, RequestId, new_id

NOBODY = Actor("none", None, RequestId(new_id()))
PATIENCE_S = 30
SIZES = ("Rss", "Pss", "Anonymous")


def mapped(folder: Path) -> list[dict[str, object]]:
    """The files of a folder that this process has mapped: which each is, and how much of it is in memory, in bytes."""
    found: list[dict[str, object]] = []
    is_ours = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            is_ours = str(folder) in line
            if is_ours:
                found.append({"inode": int(rest[3])})
        elif is_ours and first[:-1] in SIZES:
            found[-1][first[:-1]] = int(rest[0]) << 10
    return found


async def work(dsn: str, folder: Path, list_id: int) -> None:
    """Answer until stdin ends."""
    database = Database(dsn, equipment=Equipment(shelf=Shelf(folder)))
    await database.pool.open(wait=True)
    terms = RankTerms(ListId(list_id), "desc", "share", has_subscore=False, least_score=1)
    while await asyncio.to_thread(sys.stdin.readline):
        async with database.begin(NOBODY) as tx:
            live = await rankings.load(tx, terms=terms, patience_s=PATIENCE_S)
        ranks = [(place.entrant, place.rank) for place in live.ranking.page(0, live.ranking.qualified)]
        told = {"ranks": ranks, "generation": live.generation, "mapped": mapped(folder)}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    await database.close()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
