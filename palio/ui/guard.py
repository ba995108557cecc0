"""What a form carries beside its fields: proof that a page of ours sent it, a key of its own, and a code if asked."""

import hashlib
import hmac
import secrets
from urllib.parse import urlencode

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from palio.kernel.errors import Malformed
from palio.kernel.ids import new_id
from palio.ui.actor import ASKING, Asking
from palio.ui.refusals import CsrfRejected, UnsupportedMedia
from palio.ui.strict import CONTROL

CSRF, KEY = "csrf_token", "idempotency_key"  # hidden fields; the form's own model never sees them
PROOF = "step_up_code"  # a field that a page shows where the last proof is too old
MASK_BYTES = 32
FORM_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data"}


class Guard:
    """Proves forms to be ours: a token is bound to the session it was drawn for, and looks different every time."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def hidden(self, request: Request) -> dict[str, str]:
        """The hidden fields of a form on this page, by name: the key makes a double click one act.

        Whoever is not signed in has no session to bind a token to.
        """
        ask: Asking | None = request.scope.get(ASKING)
        token = {CSRF: self.token(ask)} if ask and ask.session_id else {}
        return {KEY: str(new_id()), **token}

    def token(self, ask: Asking) -> str:
        """A token of this session. It is masked, so that a compressed page does not give it away byte by byte."""
        mask = secrets.token_bytes(MASK_BYTES)
        return (mask + _xor(mask, self._mac(ask))).hex()

    def check(self, ask: Asking, presented: str) -> None:
        """Accept a token of this session. Refuses with CsrfRejected."""
        try:
            raw = bytes.fromhex(presented)
        except ValueError:
            raise CsrfRejected from None
        mask, masked = raw[:MASK_BYTES], raw[MASK_BYTES:]
        if len(masked) != MASK_BYTES or not hmac.compare_digest(_xor(mask, masked), self._mac(ask)):
            raise CsrfRejected

    def _mac(self, ask: Asking) -> bytes:
        return hmac.digest(self._key, f"palio-csrf|{ask.session_id}".encode(), "sha256")


class FormRequest(Request):
    """A request of a form: `form()` gives its own fields, `carried` what it carries beside them."""

    carried: dict[str, str]

    async def read(self) -> None:
        """Read the form once, and take aside what is not its own. Refuses with UnsupportedMedia and Malformed."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in FORM_TYPES:
            raise UnsupportedMedia(media_type="application/x-www-form-urlencoded")
        whole = await self.form()
        if any(isinstance(text, str) and CONTROL.search(text) for item in whole.multi_items() for text in item):
            raise Malformed(what="form")
        self.carried = {name: str(whole.get(name, "")) for name in (CSRF, KEY, PROOF)}
        self._form = FormData([(name, value) for name, value in whole.multi_items() if name not in self.carried])

    async def said(self) -> bytes:
        """Everything the form says, as bytes to compare: files by their digest."""
        return urlencode([(name, await _text_of(value)) for name, value in (await self.form()).multi_items()]).encode()

    async def typed(self) -> dict[str, str]:
        """The fields as they were sent, to be shown again: files cannot be."""
        return {name: value for name, value in (await self.form()).multi_items() if isinstance(value, str)}


async def _text_of(value: UploadFile | str) -> str:
    if isinstance(value, str):
        return value
    digest = hashlib.sha256(await value.read()).hexdigest()
    await value.seek(0)
    return f"{value.filename}|{digest}"


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))
