"""Who vouches for people here: what the environment says of providers, the bot and the gateway of codes."""

import json
from collections.abc import Collection, Iterator
from typing import Any

from palio.identity import TelegramBot
from palio.infra.doctor.findings import Finding
from palio.infra.http import Client
from palio.infra.oidc import AppleKey, Provider
from palio.infra.otp import Gateway, Nowhere, Sender
from palio.infra.settings import Environment

PARTS = {
    "google": ("google_client_id", "google_client_secret"),
    "apple": ("apple_client_id", "apple_team_id", "apple_key_id", "apple_key"),
    "oidc": ("oidc_providers",),
    "telegram": ("telegram_bot_name", "telegram_bot_token"),
    "phone_otp": ("otp_webhook_url", "otp_webhook_secret"),
}
ALONE = {"telegram"}  # it is open by default, and nobody misses it where there is no bot


def providers_of(environment: Environment) -> dict[str, Provider]:
    """Everybody who vouches for people and is configured completely, by his key."""
    found: dict[str, Provider] = {}
    if environment.google_client_id and environment.google_client_secret:
        found["google"] = Provider(
            "google",
            "Google",
            environment.google_issuer,
            environment.google_client_id,
            environment.google_client_secret,
            apps=_listed(environment.google_apps),
        )
    parts = environment.apple_client_id, environment.apple_team_id, environment.apple_key_id, environment.apple_key
    client_id, team_id, key_id, key = parts
    if client_id and team_id and key_id and key:
        found["apple"] = Provider(
            "apple",
            "Apple",
            environment.apple_issuer,
            client_id,
            AppleKey(team_id, key_id, key.replace("\\n", "\n")),  # a shell writes it in one line
            apps=_listed(environment.apple_apps),
            scope="openid email name",
            posts_back=True,
        )
    others: dict[str, dict[str, Any]] = json.loads(environment.oidc_providers or "{}")
    for name, one in others.items():
        found[f"oidc:{name}"] = Provider(
            f"oidc:{name}",
            one.get("title", name),
            one["issuer"],
            one["client_id"],
            one["client_secret"],
            may_be_inside=one.get("inside", False),
        )
    return found


def bot_of(environment: Environment) -> TelegramBot | None:
    """The bot, if there is one."""
    if environment.telegram_bot_name and environment.telegram_bot_token:
        return TelegramBot(environment.telegram_bot_name, environment.telegram_bot_token)
    return None


def has_otp(environment: Environment) -> bool:
    """Can short codes be sent?"""
    return bool(environment.otp_webhook_url and environment.otp_webhook_secret)


def sender_of(environment: Environment, client: Client, *, is_simulated: bool) -> Sender:
    """Who sends short codes."""
    if environment.otp_webhook_url and environment.otp_webhook_secret:
        return Gateway(environment.otp_webhook_url, environment.otp_webhook_secret, client, may_be_inside=is_simulated)
    return Nowhere()


def examine(environment: Environment, methods: Collection[str]) -> Iterator[Finding]:
    """What is missing so that the ways in that are open work, and what is configured for one that is not."""
    for method, parts in PARTS.items():
        given = [part for part in parts if getattr(environment, part)]
        missing = ", ".join(f"PALIO_{part.upper()}" for part in parts if part not in given)
        if missing and given:
            yield Finding(
                "ways.incomplete",
                "error",
                f"The log-in {method} is configured in part: {missing} is missing.",
                "Nobody comes in by it, and its button is not shown.",
                f"Set {missing}, or take the others away.",
            )
        elif missing and method in methods and method not in ALONE:
            yield Finding(
                "ways.unconfigured",
                "warning",
                f"identity.methods opens {method}, and {missing} is not set.",
                "Nobody comes in by it, and its button is not shown.",
                f"Set {missing}, or take {method} out of identity.methods.",
            )
        elif not missing and method not in methods:
            yield Finding(
                "ways.closed",
                "note",
                f"The log-in {method} is configured, and identity.methods does not open it.",
                "Nobody comes in by it.",
                f"Add {method} to identity.methods, or take its configuration away.",
            )


def _listed(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())
