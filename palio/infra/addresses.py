"""Where the database is: one connection string per purpose, because a pooler may stand before some of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Addresses:
    """`app` serves requests and jobs, `direct` is the same role past any pooler, `migrate` may change schemas."""

    app: str
    direct: str
    migrate: str
    is_pooled: bool = False
