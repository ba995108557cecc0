"""Why there is no database."""

import os


class CannotStartError(Exception):
    """The database cannot start; the message tells the operator what to change, `status` is how the program ends."""

    def __init__(self, message: str, *, status: int = os.EX_CONFIG) -> None:
        super().__init__(message)
        self.status = status
