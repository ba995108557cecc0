"""What a refusal says of itself."""

from datetime import datetime

from palio.kernel.errors import Conflict


class Late(Conflict):
    """`who` came at `at`, never before noon."""


def test_facts_stand_in_the_sentence_and_times_are_written_as_everywhere() -> None:
    refusal = Late(who="Anna", at=datetime.fromisoformat("2026-03-20T14:00:00+02:00"))

    assert refusal.detail == "Anna came at 2026-03-20T12:00:00.000000Z, never before noon."
