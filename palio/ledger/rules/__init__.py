"""What the ledger decides. Nothing here reads the clock, makes ids or touches the database."""
