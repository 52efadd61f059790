"""Chat templates are run within bounds, and the bounds go when they are done."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from fsmbot.doctor import template
from fsmbot.errors import DoctorError

resource = pytest.importorskip("resource")


@pytest.mark.parametrize(
    "slow",
    [
        "{{ x ** 9 }}",
        "{{ x | int(0, 16) }}",
        "{{ 5 | round(100000000, 'ceil') }}",
        "{% filter striptags %}{% endfilter %}",
        "{{ x | map('striptags') }}",
        "{{ x | map( 'int', 0, 16) }}",
        "{{ x | map('ro' ~ 'und') }}",
        r"{{ x | map('ro\x75nd') }}",
        "{{ x | map(attribute) }}",
        "{{ x | map('map', 'round') }}",
    ],
)
def test_what_may_compute_for_long_at_once_is_refused(slow: str) -> None:
    """Nothing could stop it: Python looks at the clock between operations only."""
    with pytest.raises(DoctorError, match=r"to a power|which may take long"):
        template.template_of(SimpleNamespace(chat_template=slow))


@pytest.mark.parametrize(
    "usual",
    [
        "{{ x | int }}",
        "{{ x | map(attribute='role') | list }}",
        "{{ x | map('tojson') | join }}",
        "{{ {'integer': 'int'}['integer'] }} round",
        "{{ x.round }}",
    ],
)
def test_what_usual_templates_do_is_let_through(usual: str) -> None:
    """Names that stand elsewhere are no filters."""
    assert template.template_of(SimpleNamespace(chat_template=usual)) == usual


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
