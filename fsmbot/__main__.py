"""`python -m fsmbot`."""

import sys

from fsmbot.cli import main

if __name__ == "__main__":
    sys.exit(main())
