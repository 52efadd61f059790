"""What the commands show while they work; results go to stdout, so this goes to stderr."""

from __future__ import annotations

import sys

from fsmbot.text import safe


def say(text: str) -> None:
    """Show a line or more of progress; nothing in it can move the cursor or change colours."""
    print(safe(text), file=sys.stderr, flush=True)
