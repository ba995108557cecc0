"""How assets look to staff, and what can be changed about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StrictBool

from palio.ledger.console.schemas.asked import Reason
from palio.ledger.sql.desk import AssetRow
from palio.ledger.types import ASSET_NAME_CHARS_MAX
from palio.ui.bodies import Body
from palio.ui.examples import AT
from palio.ui.paging import Listed
from palio.ui.values import Instant


class AssetBody(Body):
    """What of an asset is to be otherwise, and why; what is not named stays."""

    name: Annotated[str, Field(max_length=ASSET_NAME_CHARS_MAX)] | None = None
    giftable: StrictBool | None = None
    withdrawable: StrictBool | None = None
    lots: StrictBool | None = None
    active: StrictBool | None = None
    reason: Reason

    def changes(self) -> Mapping[str, str | bool]:
        """What was named."""
        return self.model_dump(exclude={"reason"}, exclude_none=True)


@dataclass(frozen=True, slots=True)
class AssetAnswer:
    """An asset with all that is set about it."""

    code: str
    name: str
    scale: int
    kind: str
    withdrawable: bool
    giftable: bool
    lots: bool
    active: bool
    created_at: Instant

    @classmethod
    def of(cls, row: AssetRow) -> "AssetAnswer":
        return cls(
            code=row.code,
            name=row.name,
            scale=row.scale,
            kind=row.kind,
            withdrawable=row.withdrawable,
            giftable=row.giftable,
            lots=row.lots,
            active=row.active,
            created_at=row.created_at,
        )


ASSET_EXAMPLE = AssetAnswer("USD", "US dollar", 2, "money", True, False, False, True, AT)
ASSETS_EXAMPLE = Listed((ASSET_EXAMPLE,), None, None)
