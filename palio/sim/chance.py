"""Chance that can be repeated: a stream of bytes for each name, so that one more of them changes none of the others."""

import hashlib
import math
from collections.abc import Sequence
from itertools import accumulate

BYTES_OF_FRACTION = 7
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Stream:
    """SHA-256 in counter mode over `seed|name`."""

    def __init__(self, seed: int, name: str) -> None:
        self._key, self._block, self._left = f"{seed}|{name}".encode(), 0, b""

    def fraction(self) -> float:
        """A number in [0, 1)."""
        if len(self._left) < BYTES_OF_FRACTION:
            self._left = hashlib.sha256(self._key + b"|%d" % self._block).digest()
            self._block += 1
        taken, self._left = self._left[:BYTES_OF_FRACTION], self._left[BYTES_OF_FRACTION:]
        return (int.from_bytes(taken) >> 3) / 2**53

    def below(self, limit: int) -> int:
        """A whole number in [0, limit)."""
        return int(self.fraction() * limit)

    def weighted(self, weights: Sequence[float]) -> int:
        """The place of one of the weights, more often of a greater one."""
        sums = [*accumulate(weights)]
        drawn = self.fraction() * sums[-1]
        return next(place for place, until in enumerate(sums) if drawn < until)

    def poisson(self, mean: float) -> int:
        """How often something happens that happens `mean` times on average (Knuth, TAOCP 3.4.1)."""
        limit, product, count = math.exp(-mean), self.fraction(), 0
        while product > limit:
            product *= self.fraction()
            count += 1
        return count

    def word(self, characters: int) -> str:
        """Letters and digits."""
        return "".join(LETTERS[self.below(len(LETTERS))] for _ in range(characters))
