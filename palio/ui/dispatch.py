"""Dispatch: which of many hundred routes a request is for, without asking each of them."""

from collections.abc import Iterable
from typing import TypeAlias

from fastapi.routing import APIWebSocketRoute
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from palio.ui.routes import Route

Way: TypeAlias = Route | APIWebSocketRoute
GATES = {"api", "v1", "console"}  # words that so many addresses begin with that they tell none apart
SUBJECT_WORDS = 5  # among so many is the subject; what comes after need not be taken apart


class Dispatch(BaseRoute):
    """All routes as one. Only those of the same subject are asked: that is the first word which tells addresses apart.

    Of these the first that fits is taken, in their order. One with a variable in that place belongs to every subject.
    """

    def __init__(self, routes: Iterable[Way]) -> None:
        self._everywhere: list[Way] = []
        self._of_subject: dict[str, list[Way]] = {}
        for route in routes:
            subject = _subject_of(route.path)
            if "{" in subject:
                for group in (self._everywhere, *self._of_subject.values()):
                    group.append(route)
            else:
                self._of_subject.setdefault(subject, [*self._everywhere]).append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """The best fit, which the scope then names as its route; an address with another method is a partial one."""
        best: tuple[Match, Scope] = Match.NONE, {}
        for route in self._of_subject.get(_subject_of(scope["path"]), self._everywhere):
            found = route.matches(scope)
            if found[0] == Match.FULL:
                return found
            if best[0] == Match.NONE:
                best = found
        return best

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on to the route that was found."""
        await scope["route"].handle(scope, receive, send)


def _subject_of(path: str) -> str:
    return next((word for word in path.split("/", SUBJECT_WORDS)[1:] if word not in GATES), "")
