"""Pages and calls of programmes: their boards, and a player's own account there."""

from palio.affiliates.web import boards, linking

__all__ = ["boards", "linking"]
