"""The picture of somebody: sent, looked at, removed."""

from typing import Annotated

from fastapi import File, Form, Path, Response, UploadFile

from palio.identity import doors
from palio.identity import schemas as say
from palio.identity.web.account import profile_again
from palio.identity.web.reception import InHouse, me_of
from palio.identity.web.showing import go
from palio.infra import files
from palio.infra.files import NotAPicture, PictureTooLarge, SentEnough
from palio.ui.actor import Ask
from palio.ui.bodies import Body
from palio.ui.limits import UPLOADS
from palio.ui.routes import Routes

routes = Routes("identity")
BODY_BYTES_MAX = 3 << 20  # two MiB, written as Base64
INERT = {  # whatever somebody has sent runs nothing, wherever it is opened
    "Content-Disposition": 'inline; filename="picture.webp"',
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, max-age=300",
}
Key = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


@routes.put(
    "/me/avatar",
    access="owner",
    example=say.AvatarAnswer("/media/5f0c1d2e3a4b5c6d7e8f90a1b2c3d4e5"),
    refuses=[NotAPicture, PictureTooLarge, SentEnough],
    rate=UPLOADS,
    idempotency="none",
    body_bytes_max=BODY_BYTES_MAX,
)
async def put_avatar(said: say.SendAvatar, house: InHouse, ask: Ask) -> say.AvatarAnswer:
    """Show a picture of oneself: a JPEG, PNG or WebP of at most 2 MiB, of which the middle is drawn anew."""
    key = await doors.put_avatar(house, user_id=me_of(ask), content=said.picture, now=ask.now)
    return say.AvatarAnswer(say.address_of_avatar(key))


@routes.delete("/me/avatar", access="owner", example=say.AvatarAnswer(None), idempotency="none")
async def delete_avatar(house: InHouse, ask: Ask) -> say.AvatarAnswer:
    """Show no picture of oneself any more; without one nothing happens."""
    await doors.remove_avatar(house, user_id=me_of(ask), now=ask.now)
    return say.AvatarAnswer(None)


@routes.page("/media/{key}", access="public")
async def media(key: Key, house: InHouse) -> Response:
    """The picture of somebody, while it is his. Refuses with NoSuchAvatar."""
    content = await doors.read_avatar(house, key=key)
    return Response(content, media_type=files.MEDIA_TYPE, headers=INERT)


@routes.form(
    "/account/avatar",
    access="owner",
    again=profile_again,
    rate=UPLOADS,
    idempotency="none",
    body_bytes_max=BODY_BYTES_MAX,
)
async def send_avatar(picture: Annotated[UploadFile, File()], house: InHouse, ask: Ask) -> Response:
    """Show a picture of oneself, from the page."""
    content = await picture.read(files.FACE_BYTES_MAX + 1)
    await doors.put_avatar(house, user_id=me_of(ask), content=content, now=ask.now)
    return go("/account?saved=true")


@routes.form("/account/avatar/remove", access="owner", again=profile_again, idempotency="none")
async def remove_avatar(form: Annotated[Body, Form()], house: InHouse, ask: Ask) -> Response:
    """Show no picture of oneself any more, from the page."""
    await doors.remove_avatar(house, user_id=me_of(ask), now=ask.now)
    return go("/account?saved=true")
