"""What the address of an embed may say, the same for everything that can be shown in a page of somebody else."""

from typing import Annotated, Literal, TypeAlias

from fastapi import Query

from palio.ui.bodies import Body
from palio.ui.pages import Look
from palio.ui.values import Whole

ROWS_DEFAULT, ROWS_OF_OVERLAY, ROWS_MAX = 10, 5, 50

Theme: TypeAlias = Literal["day", "night"]
Accent: TypeAlias = Literal["azure", "red", "green", "plum", "brown", "sable"]
Rows: TypeAlias = Annotated[Whole, Query(ge=1, le=ROWS_MAX)]
Lang: TypeAlias = Annotated[str, Query(max_length=20)]


class Options(Body):
    """What the address of an embed may say; anything else is refused, so that no misspelt word is ignored."""

    theme: Theme | None = None
    accent: Accent | None = None
    rows: Rows | None = None
    lang: Lang | None = None
    overlay: Literal["0", "1"] = "0"

    def look(self) -> Look:
        """How it looks."""
        return Look(self.theme, self.accent, self.lang, self.overlay == "1")

    @property
    def shown_rows(self) -> int:
        """How many rows of a board: those asked for, else as many as fit."""
        return self.rows or (ROWS_OF_OVERLAY if self.overlay == "1" else ROWS_DEFAULT)


Chosen = Annotated[Options, Query()]
