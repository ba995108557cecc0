"""What calls and forms take: the fields that are named, and no others."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """What a call or a form says; a field more is refused."""

    model_config = ConfigDict(extra="forbid")
