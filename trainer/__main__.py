"""`python -m trainer`."""

import sys

from fsmbot.text import fence_streams
from trainer.cli import main

# The bar of progress goes back to the beginning of its line. What preview shows on stdout has colours.
fence_streams("stderr", keep="\n\t\r")
sys.exit(main())
