"""How programmes, boards and links look from outside."""
