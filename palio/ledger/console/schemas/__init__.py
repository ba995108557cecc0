"""How the ledger looks to staff: what is asked for, and what is answered. Amounts are units of their asset."""
