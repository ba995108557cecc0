"""Every statement of the ledger. Rows are written by its definer functions alone."""
