"""Declarations of runtime settings: a module states in its `types.py` what an operator may change."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

Value = TypeVar("Value", bool, int, str)
Kind: TypeAlias = Literal["bool", "int", "bps", "money", "duration", "text", "choice"]


@dataclass(frozen=True, slots=True)
class Setting(Generic[Value]):
    """One setting. `key` is `module.name`; numbers lie in `low..high`, in `unit`."""

    key: str
    kind: Kind
    default: Value
    description: str
    unit: str = ""
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()
    sensitive: bool = False
