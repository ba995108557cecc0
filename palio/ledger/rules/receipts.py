"""What a receipt may say."""

from collections.abc import Iterator, Mapping, Sequence

from palio.kernel.ids import UserId

WORDS = {"system", "staff", "player", "service"}


def done_by(actor: str, owner_id: UserId) -> str:
    """The kind of the actor who made a transfer: "you" for the owner, never who somebody else is."""
    kind, _, who = actor.partition(":")
    if who and who.replace("-", "") == owner_id.hex:
        return "you"
    return kind if kind in WORDS else "system"


def why(metadata: Mapping[str, object]) -> list[tuple[str, int | str]]:
    """The rule that set an amount, as `metadata.why` has it: names with figures or words, a part of a part as
    `outer.inner`. A sentence has no name.
    """
    return list(_flat(metadata.get("why"), ()))


def _flat(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, int | str]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _flat(part, (*path, str(name)))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield ".".join(path), ", ".join(str(part) for part in value)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield ".".join(path), value
    elif value is not None:
        yield ".".join(path), str(value)
