"""Refusals of feeds and links. Nothing of a refused payload is believed; the archive keeps its bytes."""

from palio.kernel.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    TooLarge,
    TooMany,
    Unauthenticated,
    Upstream,
)


class BadContentType(Invalid):
    """The feed answered `content_type`, not JSON: check its address, and whether it shows an error page instead."""

    code = "affiliates.bad_content_type"


class BadEncoding(Invalid):
    """The text is not UTF-8 (byte `position`): ask the provider for UTF-8, or save the file as UTF-8."""

    code = "affiliates.bad_encoding"


class BadJson(Invalid):
    """The text is not strict JSON (`problem`): get the whole body again; NaN, Infinity and half a list are not JSON."""

    code = "affiliates.bad_json"


class ShapeUnknown(Invalid):
    """No list of players was found in it (it begins with `begins_with`): give the feed a mapping that says where."""

    code = "affiliates.shape_unknown"


class BadMapping(Invalid):
    """The mapping cannot be used at `field`: `problem`."""

    code = "affiliates.bad_mapping"


class PushRefused(Unauthenticated):
    """It is not signed by this feed's provider, or not just now: check secret and clock, and sign the bytes as sent."""

    code = "affiliates.push_refused"


class UpstreamRefused(Upstream):
    """The provider itself says that it failed (`said`): check the key of the feed, then fetch again."""

    code = "affiliates.upstream_refused"


class BodyTooLarge(TooLarge):
    """The body has `size` bytes, at most `size_max` are read: raise the feed's limit and affiliates.max_bytes."""

    code = "affiliates.too_large"


class OutOfOrder(Conflict):
    """The programme has a snapshot of `last` already: only a later one can be applied, this one is of `fetched_at`."""

    code = "affiliates.out_of_order"


class AlreadyDecided(Conflict):
    """This was decided before: it is `state`."""

    code = "affiliates.already_decided"


class NotReleasable(Conflict):
    """A row held as `reason` has no number to believe: dismiss it, or ask the provider to mend it."""

    code = "affiliates.not_releasable"


class NoSuchProgramme(NotFound):
    """There is no programme `programme`."""

    code = "affiliates.programme_unknown"


class ProgrammeExists(Conflict):
    """There is a programme `programme` already: choose another code."""

    code = "affiliates.programme_exists"


class NoSuchFeed(NotFound):
    """There is no feed `feed_id`."""

    code = "affiliates.feed_unknown"


class NoFeedToPull(NotFound):
    """Programme `programme` has no feed that is read by itself: add one with palio affiliates feed add."""

    code = "affiliates.no_pull_feed"


class FeedExists(Conflict):
    """Programme `programme` is read from `host` already: replace that feed, it keeps its history."""

    code = "affiliates.feed_exists"


class FeedOff(Conflict):
    """The feed of programme `programme` is switched off: switch it on, or remove it before another one is connected."""

    code = "affiliates.feed_off"


class SecretInvalid(Invalid):
    """The key does not fit `auth_kind`: `problem`."""

    code = "affiliates.secret_invalid"
    blames = "key"


class PlayerUnknown(Invalid):
    """The programme has no player `uid`: write uid or name as the programme shows it, or wait for its next list."""

    code = "affiliates.player_unknown"


class PlayerTaken(Conflict):
    """Player `uid` is linked to somebody else: unlink him first."""

    code = "affiliates.player_taken"


class PlayerAmbiguous(Invalid):
    """Several players are called `name`: give the uid, which no two share."""

    code = "affiliates.player_ambiguous"


class PlayerResting(Conflict):
    """Player `uid` was somebody else's a short while ago: ask again when `days` days have passed, or ask staff."""

    code = "affiliates.player_resting"


class ProgrammeClosed(Conflict):
    """Programme `programme` takes no requests at present."""

    code = "affiliates.programme_closed"


class RequestOpen(Conflict):
    """Your request `ref` in this programme is open: wait for the answer, or cancel it first."""

    code = "affiliates.request_open"


class TooManyRequests(TooMany):
    """You have asked `count` times in a short while: wait before you ask again."""

    code = "affiliates.too_many"


class NoSuchRequest(NotFound):
    """There is no such request to link."""

    code = "affiliates.request_unknown"


class NoSuchLink(NotFound):
    """There is no such link."""

    code = "affiliates.link_unknown"


class OwnRequest(Forbidden):
    """This is about an account of your own: somebody else decides."""

    code = "affiliates.own_request"


class NoSuchPicture(NotFound):
    """There is no such picture."""

    code = "affiliates.picture_unknown"


class TooManyPictures(Conflict):
    """A request takes `count` pictures: it has them."""

    code = "affiliates.too_many_pictures"


class RequestTaken(Conflict):
    """`by` looks at this request until `until`."""

    code = "affiliates.request_taken"


class NoteMissing(Invalid):
    """Say why, in 3 to 500 characters; the user reads it."""

    code = "affiliates.note_missing"
    blames = "note"


class LinkChanged(Conflict):
    """Since this was proposed, player `uid` has been linked or unlinked: look again, and propose it anew."""

    code = "affiliates.link_changed"


class BadLinkList(Invalid):
    """The list cannot be read at line `line`: `problem`."""

    code = "affiliates.bad_link_list"


class AlreadyLinked(Conflict):
    """The user is linked to `uid` in this programme already: unlink him first."""

    code = "affiliates.already_linked"


class NotLinked(Conflict):
    """Player `uid` is linked to nobody."""

    code = "affiliates.not_linked"


class NoSuchMapping(NotFound):
    """Feed `feed_id` has no mapping of version `version`."""

    code = "affiliates.mapping_unknown"


class NoSuchSnapshot(NotFound):
    """There is no snapshot `snapshot_id`."""

    code = "affiliates.snapshot_unknown"


class PayloadGone(Gone):
    """The archive no longer keeps the bytes of snapshot `snapshot_id`: it can be discarded, not read or applied."""

    code = "affiliates.payload_gone"


class NoSuchRow(NotFound):
    """There is no held row `row_id`."""

    code = "affiliates.row_unknown"


class BadPeriodKey(Invalid):
    """`key` names no period: write D:2026-03-18, W:2026-W12, M:2026-03 or ALL; all are in UTC."""

    code = "affiliates.bad_period_key"


class NoSuchPeriod(NotFound):
    """There are no numbers of `key`: the programme was not read yet when it ended, or it has not begun."""

    code = "affiliates.period_unknown"
