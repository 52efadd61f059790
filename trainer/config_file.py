"""YAML -> Config, every mistake with its place.

config = load_config(Path("trainer/configs/tiny.yaml"), ["lora.r=8"])
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from fsmbot.errors import ConfigError, Problem, listed
from fsmbot.flowfile.settings import describe, misfits
from fsmbot.flowfile.yamltree import MAX_BYTES, Tree, read_tree
from fsmbot.nearby import suggest
from trainer.config import Config

T = TypeVar("T")


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration; raises ConfigError with every mistake as file:line:column."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name a YAML file") from error
    tree, problems = read_tree(data)
    tree = tree or Tree(1, 1, {})
    reader = _Reader(list(problems))
    config = reader.convert(Config, tree, "")
    if reader.problems:
        raise ConfigError(listed(str(path), reader.problems))
    config = dataclasses.replace(config, folder=str(path.resolve().parent))
    for override in overrides:
        config = _override(config, override)
    return _whole(config, str(path))


class _Reader:
    """Fills dataclasses from a tree, collecting problems."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def convert(self, wanted: type[T], tree: Tree, where: str) -> T:
        """Return the dataclass; what is wrong keeps its default and is noted."""
        if not tree.is_map:
            self.problems.append(
                tree.problem(f"{where or 'a configuration'} must be a map, not {describe(tree)}")
            )
            return wanted()
        hints = typing.get_type_hints(wanted, include_extras=True)
        hints.pop("folder", None)
        values: dict[str, Any] = {}
        for name, item in tree.value.items():
            if name not in hints:
                message = f"{where or 'a configuration'} has no key '{name}'{suggest(name, hints)}"
                self.problems.append(tree.keys[name].problem(message))
            else:
                values[name] = self._value(hints[name], item, f"{where}.{name}".lstrip("."))
        return wanted(**{name: value for name, value in values.items() if value is not _WRONG})

    def _value(self, wanted: Any, item: Tree, where: str) -> Any:
        if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
            return self.convert(wanted, item, where)
        inner = typing.get_args(wanted)
        if typing.get_origin(wanted) is list and dataclasses.is_dataclass(inner[0]):
            if isinstance(item.value, list):
                kind = cast(type[Any], inner[0])
                return [self.convert(kind, one, f"{where}[{i}]") for i, one in enumerate(item.value)]
            self.problems.append(item.problem(f"{where} must be a list, not {describe(item)}"))
            return _WRONG
        try:
            return msgspec.convert(item.plain(), wanted)
        except msgspec.ValidationError as error:
            for place, message in misfits(item, wanted, str(error)):
                self.problems.append(place.problem(f"{where}: {message}"))
            return _WRONG


_WRONG = object()


def _override(config: Config, text: str) -> Config:
    """Apply one `--set key.key=value`; raises ConfigError that shows the text."""
    path, equals, value = text.partition("=")
    names = path.strip().split(".")
    if not equals or not all(names):
        raise ConfigError(f"--set {text}: expected key=value, such as lora.r=8")
    tree, problems = read_tree(value.encode())
    reader = _Reader(list(problems))
    nested = tree or Tree(1, 1, None)
    for name in reversed(names):
        nested = Tree(1, 1, {name: nested}, {name: Tree(1, 1, name)})
    changed = reader.convert(Config, nested, "")
    if reader.problems:
        raise ConfigError(f"--set {text}: " + "; ".join(p.message for p in reader.problems))
    return _replaced(config, changed, names)


def _replaced(config: T, changed: T, names: Sequence[str]) -> T:
    """Return config with the one field at the end of `names` taken from `changed`."""
    name, rest = names[0], names[1:]
    value = getattr(changed, name)
    if rest:
        value = _replaced(getattr(config, name), value, rest)
    return dataclasses.replace(config, **{name: value})  # type: ignore[type-var]


def _whole(config: Config, path: str) -> Config:
    """Refuse what no single field shows to be wrong."""
    if not config.data.train:
        raise ConfigError(f"{path}: data.train names nothing to learn from; add a `- path:` or `- hub:`")
    for side in ("train", "eval", "test"):
        for index, source in enumerate(getattr(config.data, side)):
            where = f"{path}: data.{side}[{index}]"
            if bool(source.path) == bool(source.hub):
                found = "both" if source.path else "neither"
                raise ConfigError(f"{where}: expected either `path` or `hub`, found {found}")
            if source.part.start >= source.part.end:
                raise ConfigError(f"{where}: part.start must lie below part.end")
    if config.steps.micro_tokens < config.data.max_tokens:
        raise ConfigError(
            f"{path}: steps.micro_tokens ({config.steps.micro_tokens}) is less than data.max_tokens "
            f"({config.data.max_tokens}), so the longest dialogue would not fit; raise it"
        )
    output = Path(config.output or f"runs/{config.name}").expanduser()
    return dataclasses.replace(config, output=str(output))
