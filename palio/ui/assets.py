"""Static files as routes."""

from fastapi import Request
from starlette.responses import Response

from palio.ui.files import Files
from palio.ui.routes import Routes

routes = Routes("files")


@routes.page("/static/{name:path}", access="public")
async def get_file(request: Request, name: str) -> Response:
    """A file of the front end."""
    files: Files = request.app.state.files
    return await files.get(request, name)
