"""What a receipt may say."""

from palio.kernel.ids import UserId

WORDS = {"system", "staff", "player", "service"}


def done_by(actor: str, owner_id: UserId) -> str:
    """The kind of the actor who made a transfer: "you" for the owner, never who somebody else is."""
    kind, _, who = actor.partition(":")
    if who and who.replace("-", "") == owner_id.hex:
        return "you"
    return kind if kind in WORDS else "system"
