"""Chat templates are run within bounds, and the bounds go when they are done."""

from __future__ import annotations

import threading

import pytest

from fsmbot.doctor import template

resource = pytest.importorskip("resource")


def test_two_templates_at_once_leave_no_limit_behind() -> None:
    """The process may grow again after both, whichever began or ended first."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with template._memory(1 << 30):
            first_in.set()
            second_in.wait(0.3)  # it may have to wait until this one is out
        first_out.set()

    def second() -> None:
        first_in.wait(10)
        with template._memory(1 << 30):
            second_in.set()
            first_out.wait(10)

    threads = [threading.Thread(target=run) for run in (first, second)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert resource.getrlimit(resource.RLIMIT_AS) == before
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
