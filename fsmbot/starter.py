"""A new bot: a folder with a flow, a handler, tests of both, and a schema for editors."""

from __future__ import annotations

import json
from pathlib import Path

from fsmbot.errors import FsmbotError
from fsmbot.registry import Registry, import_handlers, load_builtins
from fsmbot.schema import flow_schema
from fsmbot.testing.schema import script_schema

TEMPLATE = Path(__file__).parent / "assets" / "starter"


class StarterError(FsmbotError):
    """The folder of a new bot cannot be made."""


def init(folder: Path) -> list[Path]:
    """Write a new bot into a folder that does not exist, or is empty; return its files.

    Raises StarterError, and then nothing was overwritten.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StarterError(f"{folder} exists already and is not an empty folder; name another")
    name = folder.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [_copy(file, folder, name) for file in sorted(TEMPLATE.iterdir()) if file.is_file()]
        written.append(_write(folder / "flow.schema.json", _dump(flow_schema(_registry(folder)))))
        written.append(_write(folder / "test.schema.json", _dump(script_schema())))
    except OSError as error:
        raise StarterError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    return written


def _copy(file: Path, folder: Path, name: str) -> Path:
    """Copy one file, with the bot's name in it."""
    shown = json.dumps(name, ensure_ascii=False) if file.suffix == ".yaml" else name
    return _write(folder / file.name, file.read_text("utf-8").replace("NAME", shown))


def _write(path: Path, text: str) -> Path:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    return path


def _registry(folder: Path) -> Registry:
    """Return the built-in handlers and those of the new bot."""
    import_handlers(str(folder / "handlers.py"))
    return load_builtins()


def _dump(schema: object) -> str:
    return json.dumps(schema, indent=2) + "\n"
