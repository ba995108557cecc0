"""Use cases of competitions, one file per noun."""
