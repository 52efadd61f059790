"""The registry: which handlers and resources there are, each under one name.

    @handler
    def check_medical(turn: Turn, vectors: WordVectors) -> Literal["medical", "other"]: ...

    @resource
    def vectors(*, path: str = "") -> WordVectors: ...

Decorating registers a function and returns it unchanged.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, overload

import msgspec

from fsmbot.contract import Handler, Setting, place_of
from fsmbot.errors import FsmbotError, RegistrationError, ResourceError

F = TypeVar("F", bound=Callable[..., Any])

ENTRY_POINTS = "fsmbot.handlers"
"""The entry-point group whose modules are imported when a flow names an unknown handler."""


class Resource(msgspec.Struct, frozen=True):
    """A factory of something shared, with the settings that a flow file may give it."""

    name: str
    function: Callable[..., Any]
    settings: Mapping[str, Setting]


class Registry(msgspec.Struct, eq=False):
    """Handlers and resources by name; a name is taken once."""

    handlers: dict[str, Handler] = {}
    resources: dict[str, Resource] = {}

    @overload
    def handler(self, function: F, /) -> F: ...
    @overload
    def handler(
        self, /, *, name: str = "", listens: bool = False, pure: bool = False, outcomes_of: str = ""
    ) -> Callable[[F], F]: ...
    def handler(
        self,
        function: F | None = None,
        /,
        *,
        name: str = "",
        listens: bool = False,
        pure: bool = False,
        outcomes_of: str = "",
    ) -> F | Callable[[F], F]:
        """Register a handler under its function's name (or `name`).

        listens: after it has spoken, the session waits for the user's next message.
        pure: it decides without side effects, so it may be asked about a half-typed message.
        outcomes_of: the setting (a dict) whose keys a flow file names as the outcomes, beside "other";
        the handler then returns `str`.
        Raises RegistrationError for a wrong signature or a taken name.
        """
        from fsmbot.signature import read_handler  # 5 ms that `import fsmbot` need not spend

        def register(function: F) -> F:
            new = read_handler(
                function,
                name or function.__name__,
                listens=listens,
                pure=pure,
                outcomes_of=outcomes_of,
            )
            _refuse_taken("handler", new.name, function, self.handlers)
            self.handlers[new.name] = new
            return function

        return register if function is None else register(function)

    def resource(self, function: F, /) -> F:
        """Register a factory under its function's name; it is called once, when first needed.

        Raises RegistrationError for positional parameters or a taken name.
        """
        from fsmbot.signature import read_settings, refusal

        settings = read_settings(function)
        count = function.__code__.co_argcount
        if count:
            raise refusal(function, "a resource takes settings only, so begin its parameters with `*,`")
        _refuse_taken("resource", function.__name__, function, self.resources)
        self.resources[function.__name__] = Resource(function.__name__, function, settings)
        return function


def _refuse_taken(
    kind: str, name: str, function: Callable[..., Any], taken: Mapping[str, Handler | Resource]
) -> None:
    """Raise if another function has this name; a reloaded module may replace its own."""
    old = taken.get(name)
    if old is None or _same_source(old.function, function):
        return
    raise RegistrationError(
        f"{kind} '{name}' is registered twice: by {place_of(old.function)} "
        f"and by {place_of(function)}; rename one of them"
    )


def _same_source(a: Callable[..., Any], b: Callable[..., Any]) -> bool:
    """Return whether two functions are one in the source, which may be imported under two names."""
    if a.__qualname__ != b.__qualname__ or "<locals>" in a.__qualname__:
        return False
    return a.__module__ == b.__module__ or _file(a) == _file(b) != ""


def _file(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return code.co_filename if code else ""


class Resources(dict[str, Any]):
    """Shared objects by name, each built once, when first asked for; safe across threads.

    `Resources(registry, {"doctor": {"adapter": "x"}}, doctor=fake)`: settings for the factories,
    then ready objects that stand in for them. Raises ResourceError for an unknown name.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        /,
        **ready: Any,
    ) -> None:
        super().__init__(ready)
        self._registry, self._settings = registry, settings or {}
        self._lock = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}

    def __missing__(self, name: str) -> Any:
        with self._lock:
            own = self._locks.setdefault(name, threading.RLock())
        with own:
            if name not in self:
                self[name] = self._build(name)
            return self[name]

    def _build(self, name: str) -> Any:
        factory = self._registry.resources.get(name)
        if factory is None:
            known = ", ".join(sorted(self._registry.resources)) or "none"
            raise ResourceError(f"no resource is called '{name}'; registered: {known}")
        return factory.function(**self._settings.get(name, {}))

    def built(self) -> Iterator[tuple[str, Any]]:
        """Yield the resources that exist so far, building none."""
        yield from list(self.items())


default_registry = Registry()
"""Where `@handler` and `@resource` register, and where flows look by default."""

handler = default_registry.handler
resource = default_registry.resource


def load_builtins() -> Registry:
    """Import the built-in handlers, which register themselves, and return the default registry."""
    importlib.import_module("fsmbot.handlers")
    return default_registry


def load_plugins() -> list[str]:
    """Import the modules of installed packages that announce handlers; return their names."""
    from importlib.metadata import entry_points  # costs 15 ms, so only where it is needed

    loaded = []
    for point in entry_points(group=ENTRY_POINTS):
        try:
            point.load()
        except FsmbotError:
            raise
        except Exception as error:  # a plug-in's own code
            raise RegistrationError(
                f"plug-in '{point.name}' ({point.value}) cannot be imported: {error}; mend or uninstall it"
            ) from error
        loaded.append(point.name)
    return loaded


def import_handlers(name: str) -> ModuleType:
    """Import a user's handlers by module name (seen from the current folder) or by file.

    What was imported here before is imported anew, with any edits. Raises RegistrationError with the
    reason when that cannot be done, and then the default registry is as it was.
    """
    before = dict(default_registry.handlers), dict(default_registry.resources)
    _forget(name)  # so that what an edit removed is gone
    try:
        return _import_file(Path(name)) if name.endswith(".py") else _import_module(name)
    except BaseException as error:  # the user's own module runs here, and may even call sys.exit
        default_registry.handlers, default_registry.resources = before
        if isinstance(error, (FsmbotError, KeyboardInterrupt)):
            raise
        raise RegistrationError(
            f"handlers '{name}' cannot be imported: {type(error).__name__}: {error}{_import_hint(error)}"
        ) from error


def _import_hint(error: BaseException) -> str:
    """Return where in the user's module it went wrong, or what can be given where there is no module."""
    if isinstance(error, ModuleNotFoundError):
        return "; give a module name as for `import`, or the path of a .py file"
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) or not frames:
        return ""
    return f" ({frames[-1].filename}:{frames[-1].lineno})"


_imported: set[str] = set()
"""Modules that `import_handlers` imported by name."""


def _forget(name: str) -> None:
    """Take what a module registered out of the default registry."""
    module = f"fsmbot_handlers_{Path(name).stem}" if name.endswith(".py") else name
    for known in (default_registry.handlers, default_registry.resources):
        for key in [key for key, entry in known.items() if entry.function.__module__ == module]:
            del known[key]


def _import_module(name: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    if name in _imported:
        return importlib.reload(sys.modules[name])
    module = importlib.import_module(name)
    _imported.add(name)
    return module


def _import_file(path: Path) -> ModuleType:
    """Import one .py file, under a name of its own so that it hides no other module."""
    name = f"fsmbot_handlers_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise RegistrationError(f"handlers '{path}': no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
