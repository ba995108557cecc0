"""What a simulated world does not take from whoever controls it."""


class SimRefusal(Exception):  # noqa: N818 - as with the product, a refusal is not an error of ours
    """The control call cannot be carried out; its text says what would be right."""
