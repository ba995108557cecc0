"""Values from JSON that somebody else wrote: what does not fit is refused in words."""

import json
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from palio.sim.refusals import SimRefusal

Shape = TypeVar("Shape")


def shaped(kind: type[Shape], content: object) -> Shape:
    """A value of this kind from one that JSON can hold. Refuses what is missing or of another kind, saying where."""
    try:
        found: Shape = TypeAdapter(kind).validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as failure:
        first = failure.errors()[0]
        raise SimRefusal(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return found
