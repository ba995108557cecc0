"""Refusals of the edge itself: what can be wrong with a request before any module has seen it.

Malformed
├── MalformedJson
├── CursorInvalid
├── IdempotencyKeyRequired
├── IdempotencyKeyInvalid
└── TokenInUrl
Forbidden
├── CsrfRejected
├── ScopeMissing
├── SessionRequired
├── MfaRequired
├── StepUpRequired
└── ImpersonationReadOnly
Conflict
└── BatchRefused
Gone
└── CursorExpired
TooLarge
└── BodyTooLarge
Invalid
├── CursorMismatch
├── UnknownField
├── UnknownParameter
└── TimeZoneRequired
Refusal
├── MethodNotAllowed   405
├── NotAcceptable      406
├── UnsupportedMedia   415
└── InternalError      500   the one that is not about the request
"""

from palio.kernel.errors import Conflict, Forbidden, Gone, Invalid, Malformed, Refusal, TooLarge


class MalformedJson(Malformed):
    """The body is not the JSON we read: `reason`. Numbers are finite, keys are unique, nesting is at most 32 deep."""

    code = "malformed_json"


class CursorInvalid(Malformed):
    """The cursor is none of ours, or was altered: take it whole from `next` or `prev` of an answer."""

    code = "cursor_invalid"


class IdempotencyKeyRequired(Malformed):
    """This call moves something of value: send a new `Idempotency-Key` with it, and the same on a retry."""

    code = "idempotency_key_required"


class IdempotencyKeyInvalid(Malformed):
    """The header `Idempotency-Key` holds 1 to 255 visible ASCII characters, in quotes or bare."""

    code = "idempotency_key_invalid"


class TokenInUrl(Malformed):
    """Addresses are logged and shared, so no token stands in one: send it in the header `Authorization`."""

    code = "token_in_url"


class CursorExpired(Gone):
    """The cursor is older than `days_max` days: begin again without one."""

    code = "cursor_expired"


class CursorMismatch(Invalid):
    """The cursor belongs to another list, filter, sort or caller: begin again without one."""

    code = "cursor_mismatch"


class CsrfRejected(Forbidden):
    """A change that carries a cookie must come from our own pages. This one did not, and nothing changed."""

    code = "csrf_rejected"


class ScopeMissing(Forbidden):
    """The token may not do this: it lacks the scope `scope`."""

    code = "scope_missing"


class SessionRequired(Forbidden):
    """No token can do this: sign in and do it yourself."""

    code = "session_required"


class MfaRequired(Forbidden):
    """Staff act with a second factor only: set one up, or sign in with it."""

    code = "mfa_required"


class StepUpRequired(Forbidden):
    """This needs a second factor of the last `minutes_max` minutes: enter a code, then do it again."""

    code = "step_up_required"


class ImpersonationReadOnly(Forbidden):
    """You are looking as somebody else: nothing can be changed."""

    code = "impersonation_read_only"


class BodyTooLarge(TooLarge):
    """The body is longer than the `limit_bytes` bytes that this call takes."""

    code = "body_too_large"


class BatchRefused(Conflict):
    """Something was wrong with an item of a batch that happens whole or not at all; nothing was done."""

    code = "batch_refused"


class UnknownField(Invalid):
    """The body has a field that this call does not know; `errors` names it."""

    code = "unknown_field"


class UnknownParameter(Invalid):
    """The address has a parameter that this call does not know, or has one twice; `errors` names it."""

    code = "unknown_parameter"


class TimeZoneRequired(Invalid):
    """A time needs its offset, as in `2026-03-18T14:05:09Z`; `errors` names the field."""

    code = "time_zone_required"


class MethodNotAllowed(Refusal):
    """What is at this address does not answer `method`; the header `Allow` lists what it does answer."""

    code = "method_not_allowed"


class NotAcceptable(Refusal):
    """The answer is `media_type`, which the header `Accept` excludes."""

    code = "not_acceptable"


class UnsupportedMedia(Refusal):
    """The body must be UTF-8 of the type `media_type`, and the header `Content-Type` must say so."""

    code = "unsupported_media_type"


class InternalError(Refusal):
    """Something went wrong on our side and nothing was changed; the request id leads us to what happened."""

    code = "internal_error"
