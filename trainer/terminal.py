"""What the commands show: results on stdout, and what they tell while they work on stderr.

Nothing in either can move the cursor or change colours.
"""

from __future__ import annotations

import sys

from fsmbot.text import safe


def say(text: str) -> None:
    """Show a line or more of progress."""
    print(safe(text), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Show a result."""
    print(safe(text), flush=True)
