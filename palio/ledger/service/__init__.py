"""Use cases of the ledger: posting, reading, checking."""
