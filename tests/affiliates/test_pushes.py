"""Whose lists are taken that a provider sends by himself: Standard Webhooks, to the byte."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from palio.affiliates import rules
from palio.affiliates.types import Push

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the test vector that the standard publishes
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
PUSH = Push("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "", b'{"test": 2432232314}')
AT = datetime.fromtimestamp(1_614_265_330, UTC)
OTHER = rules.secret_of(bytes(32))


def signed(push: Push = PUSH, *secrets: str) -> Push:
    return replace(push, signatures=" ".join(rules.signature(secret, push) for secret in secrets or (SECRET,)))


def test_a_signature_is_that_of_the_standard() -> None:
    assert rules.signature(SECRET, PUSH) == SIGNED
    assert rules.is_genuine(replace(PUSH, signatures=SIGNED), [SECRET], AT)


@pytest.mark.parametrize("late_s", [-300, 0, 300])
def test_five_minutes_are_the_most_on_either_side(late_s: int) -> None:
    beyond = late_s + (1 if late_s >= 0 else -1)
    assert rules.is_genuine(signed(), [SECRET], AT + timedelta(seconds=late_s))
    assert rules.is_genuine(signed(), [SECRET], AT + timedelta(seconds=beyond)) == (late_s == 0)


@pytest.mark.parametrize(
    "changed",
    [
        *({"body": b'{"test": 2432232315}'}, {"event_id": "msg_other"}, {"timestamp": "1614265331"}),
        *({"signatures": ""}, {"signatures": SIGNED[:-2] + "F="}, {"signatures": SIGNED.replace("v1", "v2")}),
        *({"timestamp": "soon"}, {"timestamp": "-1"}, {"timestamp": "9" * 400}, {"event_id": ""}),
        {"event_id": "x" * 257},
    ],
)
def test_whatever_is_changed_it_is_not_genuine(changed: dict[str, str]) -> None:
    assert not rules.is_genuine(replace(signed(), **changed), [SECRET], AT)  # type: ignore[arg-type]


def test_every_byte_of_it_is_signed() -> None:
    """Of the body, of its number, of its time and of the signature itself, with any one bit turned."""
    sound = signed()
    for name in ("body", "event_id", "timestamp", "signatures"):
        was = getattr(sound, name)
        text = was if isinstance(was, bytes) else was.encode()
        for place in range(len(text)):
            turned = text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]
            changed = replace(sound, **{name: turned if isinstance(was, bytes) else turned.decode()})
            assert not rules.is_genuine(changed, [SECRET], AT), (name, place)


def test_without_a_secret_nobody_is_known() -> None:
    assert not rules.is_genuine(signed(), [], AT)


def test_two_secrets_are_live_and_the_third_ends_the_first() -> None:
    kept = rules.with_newest(rules.with_newest(None, SECRET), OTHER)
    assert rules.live_secrets(kept) == [OTHER, SECRET]
    assert rules.live_secrets(rules.with_newest(kept, "whsec_third")) == ["whsec_third", OTHER]
    for secret in (SECRET, OTHER):
        assert rules.is_genuine(signed(PUSH, secret), rules.live_secrets(kept), AT)
    assert rules.is_genuine(signed(PUSH, "whsec_unknown", OTHER), rules.live_secrets(kept), AT)
