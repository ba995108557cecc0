"""Static files: known by name from the start, served as they were built, compressed copies included."""

import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from palio.kernel.errors import NotFound

ENCODINGS = {"br": ".br", "gzip": ".gz"}  # the first that the caller takes
HASHED = "assets/"  # a name with the hash of its content never means anything else
COMPRESSED_BYTES_MIN = 1 << 10  # what is larger and not compressed yet meets the compressor, which names the header too
FOR_EVER = "public, max-age=31536000, immutable"
mimetypes.add_type("font/woff2", ".woff2")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file and its compressed copies by encoding."""

    path: Path
    media_type: str
    is_hashed: bool
    copies: dict[str, Path]


class Files:
    """The files below a folder when it was made; whatever is not among them does not exist."""

    def __init__(self, folder: Path) -> None:
        self._all = {path.relative_to(folder).as_posix(): _stored(path, folder) for path in _shown(folder)}

    async def get(self, request: Request, name: str) -> Response:
        """The file, in an encoding the caller takes. Refuses with NotFound."""
        file = self._all.get(name)
        if file is None:
            raise NotFound
        taken = {word.partition(";")[0].strip() for word in request.headers.get("accept-encoding", "").split(",")}
        encoding = next((name for name in file.copies if name in taken), None)
        headers = {"Cache-Control": FOR_EVER if file.is_hashed else "no-cache"}
        if encoding:
            headers["Content-Encoding"] = encoding
        path = file.copies[encoding] if encoding else file.path
        try:
            stat = path.stat()
        except FileNotFoundError:  # a build has taken it away since we looked
            raise NotFound from None
        if file.copies and (encoding or stat.st_size < COMPRESSED_BYTES_MIN):
            headers["Vary"] = "Accept-Encoding"
        answer = FileResponse(path, headers=headers, media_type=file.media_type, stat_result=stat)
        if answer.headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers | {"ETag": answer.headers["etag"]})
        return answer


def _shown(folder: Path) -> list[Path]:
    """Files without a dot in front; the compressed copies belong to their originals."""
    hidden = {".br", ".gz"}
    return [p for p in folder.rglob("*") if p.is_file() and p.suffix not in hidden and not _is_hidden(p, folder)]


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _stored(path: Path, folder: Path) -> StoredFile:
    kind, _ = mimetypes.guess_type(path.name)
    copies = {name: path.with_name(path.name + suffix) for name, suffix in ENCODINGS.items()}
    return StoredFile(
        path,
        kind or "application/octet-stream",
        HASHED in path.relative_to(folder).as_posix(),
        {name: copy for name, copy in copies.items() if copy.exists()},
    )
