"""The command line: `fsmbot --flow F` talks; check, graph, schema and handlers tell about flows;
test runs their tests; sessions looks into a store.

Every command imports what it needs when it runs, so that `--help` and `check` stay quick. The exit
code is 0 when all went well, 1 when a handler or a test failed or output could not be written, 2 for
a wrong command line or file, 130 after Ctrl-C, 141 when the reader of the output went away.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from fsmbot.actions import WRONG
from fsmbot.arguments import make_parser
from fsmbot.errors import FsmbotError
from fsmbot.text import fence_streams, safe

COMPUTING = ("load-doctor", "fsmbot node")
"""The names of the threads in which a model is loaded, and in which it may be answering."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    if sys.stdout is None or sys.stderr is None:
        if sys.stderr is not None:  # print takes None for standard output
            print("fsmbot: standard output is closed, so nothing can be shown", file=sys.stderr)
        return WRONG
    if sys.stdin is None:  # closed; most commands read none of it, and a talk ends at once
        sys.stdin = io.TextIOWrapper(io.BytesIO())
    options = make_parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except FsmbotError as error:
        print(safe(error.pointed()), file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:
        _drop_output()
        print(safe(f"fsmbot: input or output failed: {error}"), file=sys.stderr)
        return 1


def run() -> NoReturn:
    """Run the command line as a program, and end it with the exit code.

    A model that still loads or computes in the background is left at once: to unwind its thread while
    the interpreter shuts down would abort the process.
    """
    fence_streams("stdout", "stderr")
    code = main()
    if any(thread.name in COMPUTING for thread in threading.enumerate()):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _drop_output() -> None:
    """Send what is still buffered nowhere, as it cannot be written."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
