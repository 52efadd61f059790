"""Keep the chatter of the model libraries (progress bars, advice, notices) off the user's screen, and
what they would leave on the disk."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

_COMPILED = "TORCHINDUCTOR_CACHE_DIR"
_LOGGERS = ("bitsandbytes", "transformers", "huggingface_hub", "peft", "accelerate", "torch")


@contextmanager
def quiet() -> Iterator[None]:
    """Show only errors of transformers, bitsandbytes and the like, and no progress bars.

    Levels are put back afterwards; raises ImportError where transformers is missing.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _no_bars(), _no_folder():
                yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def _no_folder() -> Iterator[None]:
    """Keep torch from making a folder for compiled code, in a place where others may write, on its import.

    bitsandbytes has it imported, but nothing is compiled here. A folder that is there is not made.
    """
    if _COMPILED in os.environ or (torch := find_spec("torch")) is None or torch.origin is None:
        yield
        return
    os.environ[_COMPILED] = os.path.dirname(torch.origin)
    try:
        yield
    finally:
        os.environ.pop(_COMPILED, None)


@contextmanager
def _no_bars() -> Iterator[None]:
    import huggingface_hub.utils
    import transformers.utils.logging

    hub: Any = huggingface_hub.utils
    chatter: Any = transformers.utils.logging
    showed = chatter.is_progress_bar_enabled(), not hub.are_progress_bars_disabled()
    chatter.disable_progress_bar()
    hub.disable_progress_bars()
    try:
        yield
    finally:
        if showed[0]:
            chatter.enable_progress_bar()
        if showed[1]:
            hub.enable_progress_bars()
