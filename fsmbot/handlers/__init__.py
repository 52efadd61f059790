"""The built-in handlers; importing this package registers them, as importing yours does."""

from fsmbot.handlers import dialogue

__all__ = ["dialogue"]
