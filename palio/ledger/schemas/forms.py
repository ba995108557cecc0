"""What the forms of the wallet send."""

from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field, StrictInt

from palio.ledger.types import AMOUNT_UNITS_MAX
from palio.ui.bodies import Body

QUERY_CHARS_MAX = 6_000
NAME_CHARS_MAX = 64
AMOUNT_CHARS_MAX = 25


class HideForm(Body):
    """Where the list stood: what it was narrowed to, as its address says."""

    query: Annotated[str, Field(max_length=QUERY_CHARS_MAX, pattern=r"^[A-Za-z0-9=&%._:+~-]*$")] = ""

    def address(self, asset: str, *, hid: int | None = None) -> str:
        """That list again, with what was hidden just now to be undone."""
        parts = [part for part in (self.query, urlencode({"hid": hid}) if hid else "") if part]
        return f"/wallet/{asset}{'?' if parts else ''}{'&'.join(parts)}#lines"


class GiftCall(Body):
    """To whom (his user name), of what, how many units."""

    to: Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX, examples=["alice"])]
    asset: Annotated[str, Field(min_length=1, max_length=12, examples=["COIN"])]
    amount: Annotated[StrictInt, Field(ge=1, le=AMOUNT_UNITS_MAX, examples=[25])]


class GiftForm(Body):
    """What was confirmed: to whom, and the amount as people write it."""

    to: Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX)]
    amount: Annotated[str, Field(min_length=1, max_length=AMOUNT_CHARS_MAX)]
