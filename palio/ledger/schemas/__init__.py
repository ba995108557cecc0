"""What is told over HTTP about the ledger."""
