"""What the environment says of those who vouch for people, and what `palio doctor` says is missing of it."""

import pytest

from palio.entry import vouching
from palio.infra.oidc import AppleKey
from palio.infra.settings import environment
from palio.infra.settings.environment import WrongSettingError

CLUB = '{"club": {"title": "Club", "issuer": "https://id.example.com", "client_id": "c", "client_secret": "s"}}'


def found(methods: list[str], **given: str) -> list[tuple[str, str, str]]:
    made = environment.load(**given)
    return [(one.id, one.severity, one.remedy) for one in vouching.examine(made, methods)]


def test_what_is_open_and_not_configured_or_the_other_way_round_is_said() -> None:
    assert found(["password", "telegram"]) == []
    assert found(["google"]) == [
        (
            *("ways.unconfigured", "warning"),
            "Set PALIO_GOOGLE_CLIENT_ID, PALIO_GOOGLE_CLIENT_SECRET, or take google out of identity.methods.",
        )
    ]
    assert found(["apple"], apple_client_id="x", apple_key="k") == [
        (
            *("ways.incomplete", "error"),
            "Set PALIO_APPLE_TEAM_ID, PALIO_APPLE_KEY_ID, or take the others away.",
        )
    ]
    assert found([], oidc_providers=CLUB) == [
        (*("ways.closed", "note"), "Add oidc to identity.methods, or take its configuration away.")
    ]
    assert found(["phone_otp"], otp_webhook_url="https://sms.example.com/", otp_webhook_secret="whsec_AA==") == []


def test_providers_are_those_that_are_configured_completely() -> None:
    assert vouching.providers_of(environment.load(google_client_id="c")) == {}
    made = vouching.providers_of(
        environment.load(
            google_client_id="c",
            google_client_secret="s",
            google_apps="ios, android",
            apple_client_id="a",
            apple_team_id="t",
            apple_key_id="k",
            apple_key=r"-----BEGIN\nkey",
            oidc_providers=CLUB,
        )
    )
    assert {*made} == {"google", "apple", "oidc:club"}
    assert made["google"].apps == {"ios", "android"}
    assert made["apple"].secret == AppleKey("t", "k", "-----BEGIN\nkey")
    assert (made["oidc:club"].title, made["oidc:club"].may_be_inside) == ("Club", False)
    assert "'s'" not in repr(made["google"])


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        '{"Club": {}}',
        '{"club": {"issuer": "https://x"}}',
        CLUB.replace("https://", ""),
        CLUB.replace("title", "name"),
    ],
)
def test_providers_that_nobody_could_speak_with_are_refused_at_the_start(text: str) -> None:
    with pytest.raises(WrongSettingError, match="PALIO_OIDC_PROVIDERS"):
        environment.load(oidc_providers=text)
