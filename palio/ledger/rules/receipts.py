"""What a receipt may say."""

from collections.abc import Iterator, Mapping, Sequence

from palio.kernel.ids import UserId

WORDS = {"system", "staff", "player", "service"}
IN_ORDER = ("steps", "pool", "rank", "place", "share", "stake", "odds", "rate", "cap", "already", "award")


def done_by(actor: str, owner_id: UserId) -> str:
    """The kind of the actor who made a transfer: "you" for the owner, never who somebody else is."""
    kind, _, who = actor.partition(":")
    if who and who.replace("-", "") == owner_id.hex:
        return "you"
    return kind if kind in WORDS else "system"


def why(metadata: Mapping[str, object]) -> list[tuple[str, int | str]]:
    """The rule that set an amount, as `metadata.why` has it: names with figures or words, a part of a part as
    `outer.inner`. A sentence has no name.

    Stored objects do not keep their order: the names that modules use come as an account would have them, then others.
    """
    order = {name: n for n, name in enumerate(IN_ORDER)}
    return sorted(_flat(metadata.get("why"), ()), key=lambda part: order.get(part[0], len(order)))


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
