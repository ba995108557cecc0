"""Which events machines outside may hear of, and by which name."""

from dataclasses import dataclass
from typing import TypeAlias

from palio.kernel.messages import Event

TypeName: TypeAlias = str  # noun.verb, like race.completed


@dataclass(frozen=True, slots=True)
class PublicType:
    """An event as it is told outside: what it means to whoever hears it, and one of its kind for an example.

    All of its fields are told, so it holds ids, codes and public figures only.
    """

    name: TypeName
    summary: str
    example: Event

    @property
    def kind(self) -> type[Event]:
        return type(self.example)
