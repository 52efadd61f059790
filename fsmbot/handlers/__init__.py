"""The built-in handlers; importing this package registers them, as importing yours does."""

from fsmbot.handlers import dialogue, doctor, emergency, greeting, matching, medical, taking

__all__ = ["dialogue", "doctor", "emergency", "greeting", "matching", "medical", "taking"]
