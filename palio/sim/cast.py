"""The people of a demo: those whose sign-in data are told, and their neighbours, who only play."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of a demo; `role` is what he does for the house, None for players."""

    username: str
    display_name: str
    role: str | None = None
    signs_in: bool = True
    board_name: Literal["full", "masked", "hidden"] = "full"

    @property
    def email(self) -> str:
        """An address that exists nowhere."""
        return f"{self.username}@demo.example.com"


CAST = (
    Person("olga", "Olga", "owner"),
    Person("adam", "Adam", "admin"),
    Person("fiona", "Fiona", "finance"),
    Person("rita", "Rita", "auditor"),
    Person("sam", "Sam", "support"),
    Person("ana", "Ana", "analyst"),
    Person("ada", "Ada"),
    Person("bela", "Béla"),
    Person("chen", "Chen"),
    Person("dara", "Dara"),
    Person("emil", "Emil"),
    Person("gina", "Gina", signs_in=False, board_name="masked"),
    Person("hugo", "Hugo", signs_in=False),
    Person("ines", "Inês", signs_in=False),
    Person("jona", "Jona", signs_in=False),
    Person("kaja", "Kaja", signs_in=False),
    Person("leon", "León", signs_in=False, board_name="hidden"),
    Person("salma", "سلمى", signs_in=False),
)
