"""Statements can be counted here too."""

from tests.competitions.conftest import statements

__all__ = ["statements"]
