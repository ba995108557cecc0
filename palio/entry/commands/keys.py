"""`palio keys …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

import typer

from palio.entry.options import AsJson, Reason
from palio.entry.printing import tell

app = typer.Typer(no_args_is_help=True, help="The keys that never lie in the database.")


@app.callback()
def root() -> None:
    """The keys that never lie in the database."""


@app.command()
def seal(*, reason: Reason, as_json: AsJson = False) -> None:
    """Add a key that seals are signed with from the next start on; older seals keep theirs, so the file keeps it too.

    Exit status 78: there is no keyring.
    """
    from palio.entry import operators, terminal, wiring
    from palio.infra import audit, keyring, seals
    from palio.infra.keyring import KeyringError

    async def work(place: terminal.Place) -> tuple[int, str]:
        path = wiring.keyring_file(place.environment)
        if path is None:
            raise KeyringError("there is no keyring: set PALIO_KEYRING_FILE")
        async with operators.acting(place.database) as tx:
            used = [await seals.newest_key(tx, chain=chain) for chain in wiring.CHAINS]
            number = keyring.add_sealing_key(path, above=max(used))
            await audit.record(
                tx,
                actor=tx.actor,
                action="key.add",
                entity_type="keyring",
                entity_id=f"sealing:{number}",
                changes={},
                reason=operators.reason(reason),
                via="cli",
            )
        return number, str(path)

    number, path = terminal.run(work, json=as_json)
    told = f"Key {number} signs seals from the next start on. Give every machine this file: {path}"
    tell({"key": number, "file": path}, as_json=as_json, lines=[told])
