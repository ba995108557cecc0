"""A server that somebody else runs: its address per purpose, and what we refuse about it before anything is written."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo

from palio.infra.addresses import Addresses
from palio.infra.roles import DATABASE

VERSION_MIN = 17
LOOPBACK = {"localhost", "127.0.0.1", "::1", ""}
RIGHTS = """
select what from pg_roles me, lateral (values
    (rolsuper, 'is a superuser'),
    (rolbypassrls, 'bypasses row security'),
    (exists (select from pg_namespace where nspowner = me.oid and nspname in ('infra', 'ledger'))
        or exists (select from pg_roles owner where owner.rolname in ('palio_owner', 'palio_ledger')
            and pg_has_role(me.oid, owner.oid, 'member')), 'owns the tables')
) as rights (is_held, what)
where rolname = current_user and is_held
"""


class UnfitServerError(Exception):
    """The server cannot be used; the message says why and what to change. The program ends with status 78."""


def addresses(url: str, direct_url: str | None, secrets_file: Path) -> Addresses:
    """The addresses of a server. Passwords that `palio db roles` made stand in the file and are filled in.

    Raises UnfitServerError for an address that cannot be read.
    """
    passwords: dict[str, str] = json.loads(secrets_file.read_text()) if secrets_file.exists() else {}
    direct = direct_url or url
    migrate = {"user": "palio_migrate", "password": passwords["palio_migrate"]} if "palio_migrate" in passwords else {}
    return Addresses(
        app=_completed(url, passwords),
        direct=_completed(direct, passwords),
        migrate=_completed(direct, passwords, **migrate),
    )


def _completed(url: str, passwords: dict[str, str], **instead: str) -> str:
    try:
        parts = {"user": "palio_app", "dbname": DATABASE, **conninfo.conninfo_to_dict(url), **instead}
    except psycopg.ProgrammingError as failure:
        raise UnfitServerError(f"the address of the database cannot be read: {failure}") from None
    if "password" not in parts and parts["user"] in passwords:
        parts["password"] = passwords[str(parts["user"])]
    return conninfo.make_conninfo(**parts)


def require_fit(found: Addresses) -> Addresses:
    """See that the product may run on this server, and whether a pooler stands before it.

    Raises UnfitServerError with every reason at once, and psycopg.OperationalError when nothing answers.
    """
    with psycopg.connect(found.app, autocommit=True, client_encoding="UTF8") as conn:
        is_pooled = _is_pooled(conn)
        reasons = list(_objections(conn))
    with psycopg.connect(found.direct, autocommit=True) as conn:
        if _is_pooled(conn):
            reasons.append("a pooler stands before the database: set PALIO_DATABASE_DIRECT_URL to the server itself")
    if reasons:
        raise UnfitServerError("\n".join(reasons))
    return replace(found, is_pooled=is_pooled)


def _is_pooled(conn: psycopg.Connection[Any]) -> bool:
    """A pooler makes up the process number that it tells at log-in."""
    return conn.execute("select pg_backend_pid()").fetchone() != (conn.info.backend_pid,)


def _objections(conn: psycopg.Connection[Any]) -> Iterator[str]:
    version = conn.info.server_version // 10_000
    if version < VERSION_MIN:
        yield f"the server is PostgreSQL {version}; Palio needs {VERSION_MIN} or 18"
    encoding = conn.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        yield f"the database is encoded in {encoding}: make one in UTF8, see `palio db roles --print`"
    if not (conn.pgconn.ssl_in_use or is_local(conn.info.host)):
        yield "the connection is not encrypted: add ?sslmode=verify-full to PALIO_DATABASE_URL"
    for right in conn.execute(RIGHTS):
        yield f"{conn.info.user} {right[0]}, so that row security means nothing: use palio_app, see `palio db roles`"


def is_local(host: str) -> bool:
    """Does the connection stay on this machine? A socket's host is its folder."""
    return host.startswith(("/", "@")) or host in LOOPBACK
