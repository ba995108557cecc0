"""Where the pages of staff over the ledger are."""

HERE = "/console/ledger"
TRANSFERS, ACCOUNTS, ADJUST = f"{HERE}/transfers", f"{HERE}/accounts", f"{HERE}/adjust"
CONSERVATION, FINDINGS, SEALS = f"{HERE}/conservation", f"{HERE}/findings", f"{HERE}/seals"
ADJUSTMENTS, HOLDS, ASSETS, TREASURY = f"{HERE}/adjustments", f"{HERE}/holds", f"{HERE}/assets", f"{HERE}/treasury"
