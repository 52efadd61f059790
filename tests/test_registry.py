"""Names are taken once, decorating changes nothing, and resources are built once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from fsmbot.errors import RegistrationError, ResourceError
from fsmbot.registry import Registry, Resources, default_registry, import_handlers
from fsmbot.turn import Turn


def test_decorating_changes_nothing_about_calling() -> None:
    """A registered handler is the very function that was written, so a unit test calls it."""

    def hello(turn: Turn, *, name: str = "you") -> Iterator[str]:
        yield f"Hello {name}"

    registry = Registry()
    assert registry.handler(hello) is hello
    assert "".join(hello(Turn(), name="Ada")) == "Hello Ada"


def test_a_name_is_taken_once() -> None:
    """A second handler of the same name is refused, and both places are shown."""
    registry = Registry()

    @registry.handler(name="greet")
    def one(turn: Turn) -> None: ...

    with pytest.raises(RegistrationError, match="'greet' is registered twice") as caught:

        @registry.handler(name="greet")
        def two(turn: Turn) -> None: ...

    assert "one" in str(caught.value)
    assert "two" in str(caught.value)


def test_a_reloaded_module_replaces_its_own_handler(tmp_path: Path) -> None:
    """Importing an edited file again takes the new function instead of complaining."""
    file = tmp_path / "mine_reloaded.py"
    code = (
        "from fsmbot import handler, Turn\n@handler\ndef reloaded_greet(turn: Turn) -> None:\n    '''{}'''\n"
    )
    file.write_text(code.format("first"))
    import_handlers(str(file))
    file.write_text(code.format("second edition"))
    module = import_handlers(str(file))
    assert module.reloaded_greet.__doc__ == "second edition"


@pytest.mark.parametrize("code", ["def f(:", "1 / 0", "raise SystemExit('usage: me')"])
def test_a_failing_import_leaves_the_registry_as_it_was(tmp_path: Path, code: str) -> None:
    """Half of a module's handlers would be worse than none; sys.exit is a failure like any other."""
    file = tmp_path / "half.py"
    file.write_text("from fsmbot import handler, Turn\n@handler\ndef half(turn: Turn) -> None: ...\n" + code)
    with pytest.raises(RegistrationError, match=r"half\.py' cannot be imported"):
        import_handlers(str(file))
    assert "half" not in default_registry.handlers


def test_a_file_hides_no_other_module(tmp_path: Path) -> None:
    """Handlers in a file called json.py leave the json module alone."""
    import json

    (tmp_path / "json.py").write_text("X = 1\n")
    import_handlers(str(tmp_path / "json.py"))
    assert sys.modules["json"] is json


def test_a_module_is_imported_anew_with_its_edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named again, as by /reload, an edited module takes effect."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "edited_mod.py").write_text("X = 1\n")
    assert import_handlers("edited_mod").X == 1
    (tmp_path / "edited_mod.py").write_text("X = 'two'\n")
    assert import_handlers("edited_mod").X == "two"


def test_handlers_that_cannot_be_imported_are_named() -> None:
    """A wrong `--handlers` says what was tried and why it failed."""
    with pytest.raises(RegistrationError, match=r"handlers 'no_such_module' cannot be imported"):
        import_handlers("no_such_module")
    with pytest.raises(RegistrationError, match=r"nowhere\.py': no such file"):
        import_handlers("nowhere.py")


def test_resources_are_built_once_and_shared_by_threads() -> None:
    """Eight threads that ask at once get the same object, built by one call."""
    registry, calls = Registry(), []

    @registry.resource
    def thing(*, size: int = 1) -> object:
        calls.append(size)
        return object()

    resources = Resources(registry, {"thing": {"size": 3}})
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(resources["thing"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [3]
    assert len(set(map(id, found))) == 1


def test_a_ready_object_stands_in_for_a_resource() -> None:
    """A test may hand over its own object, and the factory is not called."""
    registry = Registry()

    @registry.resource
    def thing() -> object:
        raise AssertionError("not to be built")

    assert Resources(registry, {}, thing=5)["thing"] == 5


def test_an_unknown_resource_lists_the_known() -> None:
    """Asking for a resource that nobody registered names those there are."""
    registry = Registry()

    @registry.resource
    def thing() -> object: ...

    with pytest.raises(ResourceError, match="no resource is called 'think'; registered: thing"):
        Resources(registry)["think"]


def test_a_resource_takes_settings_only() -> None:
    """Positional parameters could not be filled, so they are refused at registration."""
    with pytest.raises(RegistrationError, match="a resource takes settings only"):

        @Registry().resource
        def thing(size: int) -> object: ...


def test_outcomes_may_be_the_keys_of_a_setting() -> None:
    """A handler with outcomes_of is routed by what its flow file names."""
    registry = Registry()

    @registry.handler(outcomes_of="cases")
    def pick(turn: Turn, *, cases: dict[str, int]) -> str:
        return next(iter(cases))

    handler = registry.handlers["pick"]
    assert handler.outcomes == ()
    assert handler.outcomes_with({"cases": {"a": 1, "b": 2}}) == ("a", "b", "other")


def _not_a_map(turn: Turn, *, cases: list[str]) -> str:
    return ""


def _no_such_setting(turn: Turn) -> str:
    return ""


def _with_a_literal(turn: Turn, *, cases: dict[str, int]) -> Literal["a"]:
    return "a"


@pytest.mark.parametrize(
    ("function", "listens", "reason"),
    [
        (_not_a_map, False, "that must be a dict"),
        (_no_such_setting, False, "which is none of its settings"),
        (_with_a_literal, False, "annotate what it returns as str"),
        (_with_a_literal, True, "a listening handler has one way out"),
    ],
)
def test_outcomes_of_must_name_a_map(function: Any, listens: bool, reason: str) -> None:
    """A slip shows signature and contract, as any other."""
    with pytest.raises(RegistrationError, match=reason):
        Registry().handler(outcomes_of="cases", listens=listens)(function)


def test_one_file_may_be_imported_under_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its path for a flow, and as a module by its unit tests: the same handler is no clash."""
    (tmp_path / "own_nodes.py").write_text(
        "from fsmbot import Turn, handler\n@handler\ndef own_node(turn: Turn) -> None: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import_handlers(str(tmp_path / "own_nodes.py"))
    import_handlers("own_nodes")
    assert default_registry.handlers["own_node"].function is sys.modules["own_nodes"].own_node


def test_a_handler_that_an_edit_removed_is_gone(tmp_path: Path) -> None:
    """Importing a file again takes back what it registered before."""
    path = tmp_path / "shrinking.py"
    both = "from fsmbot import Turn, handler\n@handler\ndef stays(turn: Turn) -> None: ...\n"
    path.write_text(both + "@handler\ndef goes(turn: Turn) -> None: ...\n")
    import_handlers(str(path))
    assert "goes" in default_registry.handlers
    path.write_text(both)
    import_handlers(str(path))
    assert "stays" in default_registry.handlers
    assert "goes" not in default_registry.handlers


def test_a_default_must_be_of_its_type() -> None:
    """Else a flow that leaves the setting out would fail where one that gives it does not."""

    def count(turn: Turn, *, least: int = "three") -> None: ...  # type: ignore[assignment]

    with pytest.raises(
        RegistrationError, match="the default of setting `least = 'three'` is not of its type"
    ):
        Registry().handler(count)


def test_a_slow_resource_holds_up_no_other() -> None:
    """Each is built behind a lock of its own."""
    registry, release = Registry(), threading.Event()

    @registry.resource
    def slow() -> str:
        release.wait(30)
        return "slow"

    @registry.resource
    def quick() -> str:
        return "quick"

    resources = Resources(registry)
    thread = threading.Thread(target=resources.__getitem__, args=("slow",))
    thread.start()
    try:
        assert resources["quick"] == "quick"
    finally:
        release.set()
        thread.join()
    assert resources["slow"] == "slow"
