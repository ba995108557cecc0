"""Share cards: the picture that goes with a link, drawn by the server in the colours and the letters of the pages."""

from palio.ui.cards.card import HEIGHT, WIDTH, Card, CardRow, draw, respond

__all__ = ["HEIGHT", "WIDTH", "Card", "CardRow", "draw", "respond"]
