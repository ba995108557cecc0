"""What staff look for, and what is found."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from palio.ledger.service.desk import Hit
from palio.ui.examples import THING
from palio.ui.paging import Listed

Looked = Annotated[str, Query(max_length=200, description="An id, a key, an address, or a user name")]


@dataclass(frozen=True, slots=True)
class HitAnswer:
    """Something that was found: an account, a transfer, a hold, a correction or a player."""

    what: str
    id: str
    text: str

    @classmethod
    def of(cls, hit: Hit) -> "HitAnswer":
        return cls(hit.what, hit.id, hit.text)


HIT_EXAMPLE = HitAnswer("transfer", str(THING), "Prize: comp:36:reward:1")
HITS_EXAMPLE = Listed((HIT_EXAMPLE,), None, None)
