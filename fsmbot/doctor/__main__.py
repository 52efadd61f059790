"""`python -m fsmbot.doctor fetch`: get the doctor's base model now instead of at the first question."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from fsmbot.doctor.artefact import SHIPPED, read_card
from fsmbot.doctor.weights import DEFAULT_BASE, quantized_folder
from fsmbot.errors import ResourceError
from fsmbot.text import fence_streams, safe


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, or 1 when the model cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m fsmbot.doctor", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    fetch = commands.add_parser("fetch", help="download and quantize the base, unless it is here")
    fetch.add_argument("--base", default="", help="an id of the hub (default: the shipped doctor's)")
    fetch.add_argument("--revision", default="", help="a commit of it")
    options = parser.parse_args(arguments)
    return fetch_base(options.base, options.revision)


def fetch_base(base: str = "", revision: str = "") -> int:
    """Fetch and quantize a base model with lines about progress; quick if it is cached."""
    if not base:
        card = read_card(SHIPPED)
        base, revision = card.base or DEFAULT_BASE, revision or card.revision
    started = time.monotonic()
    try:
        folder = quantized_folder(base, revision, report=lambda line: print(safe(line), flush=True))
    except ResourceError as error:
        print(safe(f"error: {error}"), file=sys.stderr)
        return 1
    print(safe(f"{base}: ready in {folder} ({time.monotonic() - started:.0f} s)"))
    return 0


if __name__ == "__main__":
    fence_streams("stdout", "stderr")
    sys.exit(main())
