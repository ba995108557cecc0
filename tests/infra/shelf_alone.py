"""A process that lays columns on a shelf again and again until it is killed: see test_shelves."""

import asyncio
import sys
from pathlib import Path

import numpy as np

from palio.infra.shelves import Shelf


async def work(folder: Path, first: int) -> None:
    """Tell each generation that lies there."""
    place = Shelf(folder).place("run", "list", "kind")
    async with place.turn(seconds_max=10) as is_ours:
        assert is_ours
        for generation in range(first, first + 100_000):
            place.put(generation, {"generation": generation}, [np.full(200_000, generation)])
            sys.stdout.write(f"{generation}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2])))
