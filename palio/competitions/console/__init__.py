"""How staff meet competitions of every product: the calls of the console."""

from palio.competitions.console.calls import routes

__all__ = ["routes"]
