"""What the forms of the wallet send."""

from typing import Annotated
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

QUERY_CHARS_MAX = 6_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HideForm(_Strict):
    """Where the list stood: what it was narrowed to, as its address says."""

    query: Annotated[str, Field(max_length=QUERY_CHARS_MAX, pattern=r"^[A-Za-z0-9=&%._:+~-]*$")] = ""

    def address(self, asset: str, *, hid: int | None = None) -> str:
        """That list again, with what was hidden just now to be undone."""
        parts = [part for part in (self.query, urlencode({"hid": hid}) if hid else "") if part]
        return f"/wallet/{asset}{'?' if parts else ''}{'&'.join(parts)}#lines"
