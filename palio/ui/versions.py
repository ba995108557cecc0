"""Versions of what staff and players change: what somebody saw is what is changed, or nothing is.

A handler hands `Seen` to its use case, which compares under the lock and refuses with `Stale(version=…)`.
"""

import re
from typing import Annotated

from fastapi import Depends, Header
from starlette.responses import Response

from palio.kernel.errors import Required, Stale

TAG = re.compile(r'"([0-9]{1,18})"')


def tag(version: int) -> str:
    """The strong ETag of a version."""
    return f'"{version}"'


def tell(response: Response, version: int) -> None:
    """Say in an answer which version it is."""
    response.headers["ETag"] = tag(version)


async def seen_version(
    if_match: Annotated[str | None, Header(description='The `ETag` of what you have seen, like "3"')] = None,
) -> int:
    """The version the caller has seen. Refuses with Required, and with Stale what is none of ours."""
    if if_match is None:
        raise Required
    found = TAG.fullmatch(if_match.strip())
    if found is None:
        raise Stale
    return int(found[1])


Seen = Annotated[int, Depends(seen_version)]
