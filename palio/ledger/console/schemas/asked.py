"""What many calls of staff over the ledger take: a reason, an asset, an owner."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import Field

from palio.ledger.types import ADJUSTMENT_REASON_MAX
from palio.ui.bodies import Body
from palio.ui.values import Blank

Reason = Annotated[str, Field(max_length=ADJUSTMENT_REASON_MAX, description="Why, in at least 10 characters")]
OfAsset = Annotated[str | None, Query(max_length=12, description="Code of an asset"), Blank]
OfOwner = Annotated[UUID | None, Query(description="Of one player"), Blank]


class ReasonBody(Body):
    """Why."""

    reason: Reason


class MaybeReasonBody(Body):
    """Why, if there is something to say."""

    reason: Annotated[str, Field(max_length=ADJUSTMENT_REASON_MAX)] = ""
