"""What a process remembers of the ledger of one database, so that the hot path asks for nothing twice."""

from collections.abc import Collection, Mapping
from functools import partial
from itertools import islice

from palio.infra import db
from palio.infra.db import Tx
from palio.ledger.sql import reading as sql
from palio.ledger.types import AccountId, Asset, LimitGroup, Place

PLACES_MAX = 100_000  # some 30 MB
FORGOTTEN_AT_ONCE = 1_000  # a look for the oldest passes by all that were forgotten before


class Book:
    """Assets and kinds, and the numbers of accounts, which never change. It learns after the commit alone."""

    def __init__(self) -> None:
        self.assets: Mapping[str, Asset] = {}
        self.kinds: frozenset[str] = frozenset()
        self.groups: Mapping[str, LimitGroup] = {}  # of the kinds that count for the limits of players
        self.final: frozenset[str] = frozenset()  # kinds of what is not taken back
        self.lotted: frozenset[str] = frozenset()  # assets of which wallets keep lots
        self.places: dict[Place, AccountId] = {}

    def learn(self, places: Mapping[Place, AccountId]) -> None:
        """Remember accounts; the oldest are forgotten when there are too many."""
        self.places.update(places)
        if len(self.places) > PLACES_MAX:
            for place in list(islice(self.places, len(self.places) - PLACES_MAX + FORGOTTEN_AT_ONCE)):
                del self.places[place]

    def forget(self, numbers: Collection[object]) -> None:
        """They do not exist: a part of a transaction was undone, and the rest committed."""
        for place in [place for place, number in self.places.items() if number in numbers]:
            del self.places[place]


async def read_again(tx: Tx, *, book: Book) -> Book:
    """A book with today's assets and kinds; the one that is remembered gets them after the commit."""
    fresh = Book()
    fresh.assets = {asset.code: asset for asset in await sql.list_assets(tx)}
    fresh.lotted = frozenset({asset.code for asset in fresh.assets.values() if asset.lots})
    kinds = await sql.list_kinds(tx)
    fresh.kinds = frozenset({kind.code for kind in kinds})
    fresh.groups = {kind.code: kind.limit_group for kind in kinds if kind.limit_group}
    fresh.final = frozenset({kind.code for kind in kinds if kind.final})
    fresh.places = book.places
    db.after_commit(tx, partial(_keep, book, fresh))
    return fresh


def _keep(book: Book, fresh: Book) -> None:
    book.assets, book.lotted, book.kinds = fresh.assets, fresh.lotted, fresh.kinds
    book.groups, book.final = fresh.groups, fresh.final
