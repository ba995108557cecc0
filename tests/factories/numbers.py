"""Numbers in what was answered."""

import re


def says(text: str, number: int) -> bool:
    """Does a text say this number by itself? In an id or an instant any short one may stand by chance."""
    return re.search(rf"(?<![\w.-]){number}(?![\w-])", text) is not None
