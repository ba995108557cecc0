"""How competitions and boards look from outside."""
