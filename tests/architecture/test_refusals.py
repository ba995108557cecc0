"""Every refusal has a code of its own: bare if the whole product shares it, else `<module>.<reason>`."""

import pkgutil
import re
from collections import defaultdict
from importlib import import_module

import palio
from palio.kernel.errors import Refusal

SHARED = {
    *("malformed_json", "malformed_request", "cursor_invalid", "idempotency_key_required", "idempotency_key_invalid"),
    *("token_in_url", "unauthenticated", "token_expired", "token_revoked", "ticket_invalid", "signature_invalid"),
    *("permission_missing", "scope_missing", "session_required", "mfa_required", "step_up_required"),
    *("impersonation_read_only", "csrf_rejected", "origin_rejected", "not_found", "method_not_allowed"),
    *("not_acceptable", "state_conflict", "already_exists", "idempotency_in_progress", "batch_refused"),
    *("cursor_expired", "link_gone", "version_mismatch", "if_match_required", "body_too_large", "too_many_items"),
    *("unsupported_media_type", "validation_failed", "unknown_field", "unknown_parameter", "time_zone_required"),
    *("cursor_mismatch", "idempotency_key_reused", "url_refused", "rate_limited", "internal_error"),
    *("provider_unavailable", "provider_timeout", "db.busy", "db.unavailable", "db.read_only", "maintenance"),
    "refused",
}
DOORS = {
    "setting",
    "stream",
    "crypto",
    "migrate",
    "approval",
    "webhook",
    "file",
    "backup",
    "drill",
    "seal",
    "wallet",
    "operation",
    "export",
}


def refusals() -> list[type[Refusal]]:
    for found in pkgutil.walk_packages(palio.__path__, "palio."):
        if not found.name.endswith("__main__"):
            import_module(found.name)
    known, waiting = [], [Refusal]
    while waiting:
        kind = waiting.pop()
        known.append(kind)
        waiting += kind.__subclasses__()
    return [kind for kind in known if kind.__module__.startswith("palio.")]


def test_codes_are_unique_and_say_whose_they_are() -> None:
    by_code = defaultdict(list)
    for kind in refusals():
        assert "code" in vars(kind), f"{kind.__module__}.{kind.__name__} has no code of its own"
        by_code[kind.code].append(f"{kind.__module__}.{kind.__name__}")
    assert {code: kinds for code, kinds in by_code.items() if len(kinds) > 1} == {}
    foreign = []
    for code, (name,) in by_code.items():
        module = name.split(".")[1]
        is_own = re.fullmatch(rf"(?:{module}|{'|'.join(sorted(DOORS))})\.[a-z][a-z0-9_]*", code)
        if code not in SHARED and not is_own:
            foreign.append(f"{name}: {code}")
    assert foreign == [], "a module's codes begin with its name; shared ones stand in the API's table"
