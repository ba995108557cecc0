"""Hashes of passwords, and the codes of an authenticator."""

import asyncio
from datetime import UTC, datetime

import pytest

from palio.infra import totp
from palio.infra.passwords import Hasher, HashingBusy

RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


async def test_a_hash_has_the_parameters_that_are_binding_and_fits_its_word_alone() -> None:
    hasher = Hasher(threads=1)
    stored = await hasher.hash("correct horse battery")

    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await hasher.verify("correct horse battery", stored)).matches
    assert not (await hasher.verify("correct horse batterx", stored)).matches
    assert not (await hasher.verify("nobody's", None)).matches


async def test_whoever_comes_when_all_places_are_taken_is_refused_at_once() -> None:
    hasher = Hasher(memory_kib=8, passes=1, threads=1, waiting=2)
    answers = await asyncio.gather(*(hasher.hash("word") for _ in range(5)), return_exceptions=True)

    assert [isinstance(answer, HashingBusy) for answer in answers] == [False] * 3 + [True] * 2
    assert await hasher.hash("word")


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
    ],
)
def test_codes_are_those_of_the_standard(second: int, code: str) -> None:
    at = datetime.fromtimestamp(second, UTC)

    assert totp.code_at(RFC_SECRET, totp.step_of(at)) == code
    assert totp.step_matching(RFC_SECRET, code, at) == totp.step_of(at)
    assert totp.step_matching(RFC_SECRET, "000000", at) is None
