"""What each command of the command line does: a function of its options that returns the exit code.

Every one imports what it needs when it runs, so that `--help` and `check` stay quick.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from fsmbot.errors import DrawingError, FlowError, FsmbotError, RegistrationError
from fsmbot.text import safe, safe_line

if TYPE_CHECKING:
    from fsmbot.drawing.visits import Visits
    from fsmbot.flow import Flow
    from fsmbot.observe import Observer
    from fsmbot.registry import Registry
    from fsmbot.stores import SQLiteStore

WRONG = 2
"""The exit code for a wrong command line or file."""

LONGEST_NAME = 100
"""Characters that a session's name may have."""

REFERENCE = Path(__file__).parent / "assets" / "doctor.yaml"
"""A copy of flows/doctor.yaml, which an installed package has not."""


def _registry(options: argparse.Namespace, *, plugins: bool = False) -> Registry:
    """Return the registry with the built-in handlers and those that the user names."""
    from fsmbot.registry import import_handlers, load_builtins, load_plugins

    registry = load_builtins()
    for name in options.modules:
        import_handlers(name)
    if plugins:
        load_plugins()
    return registry


def _load(options: argparse.Namespace, path: Path) -> Flow:
    """Load a flow that this program is to run, so all that its handlers ask for must be there."""
    from fsmbot.loader import load_flow
    from fsmbot.nearby import suggest

    registry = _registry(options)
    flow = load_flow(path)
    for node in flow.all_nodes.values():
        for name in node.handler.resources:
            if name not in registry.resources:
                raise RegistrationError(
                    f"{path}: handler '{node.handler.name}' of {node.handler.place} asks for a resource "
                    f"'{name}', and there is none"
                    + suggest(name, sorted(registry.resources))
                    + " (a setting stands after `*,`)"
                )
    return flow


def talk(options: argparse.Namespace) -> int:
    """Open the conversation: at a terminal the REPL, else a message a line."""
    path = options.flow or (REFERENCE if options.doctor else None)
    if path is None:
        options.parser.print_help(sys.stderr)
        print("\nfsmbot: name a flow with --flow FILE, or give a command", file=sys.stderr)
        return WRONG
    from fsmbot import logs

    logs.setup()

    def load() -> Flow:
        return _with_doctor(_load(options, path), options.doctor)

    flow, observers = load(), _observers(options)
    store, name = _stored(options)
    if options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        from fsmbot.channels import run_json, run_plain

        run = run_json if options.json else run_plain
        return run(flow, sys.stdin.buffer, sys.stdout, store=store, name=name, observers=observers)
    from fsmbot.repl import Repl

    modules = [Path(name) for name in options.modules if name.endswith(".py")]
    watch = modules if options.watch else None
    keeps = not options.no_history
    return Repl(
        flow, history=keeps, load=load, watch=watch, store=store, name=name, observers=observers
    ).run()


def _stored(options: argparse.Namespace) -> tuple[SQLiteStore | None, str]:
    """Return where the conversation is kept and its name there, None and "" if it is not to be."""
    name = options.session
    if name is None:
        if options.store is not None:
            raise FsmbotError("--store keeps a session; name it with --session NAME")
        return None, ""
    if options.no_history:
        raise FsmbotError("--session keeps the conversation, and --no-history keeps nothing: choose one")
    if not name.strip() or safe_line(name) != name or len(name) > LONGEST_NAME:
        raise FsmbotError(
            f"--session {name!r}: a session's name has 1 to {LONGEST_NAME} letters, digits or signs, "
            "not spaces alone"
        )
    from fsmbot.private import make_private_folder, state_folder
    from fsmbot.stores import SQLiteStore

    path = _store_file(options)
    if path.parent == state_folder():
        try:
            make_private_folder(path.parent)
        except OSError as error:
            raise FsmbotError(
                f"the folder of sessions {path.parent} cannot be made: {error.strerror or error}; "
                "name a file for them with --store FILE"
            ) from error
    return SQLiteStore(path), name


def _store_file(options: argparse.Namespace) -> Path:
    """Return the file of sessions that is named, or the user's own."""
    from fsmbot.private import state_folder

    return options.store or state_folder() / "sessions.db"


def _observers(options: argparse.Namespace) -> list[Observer]:
    """Return what is to be told of every event."""
    observers: list[Observer] = []
    if options.trace is not None:
        from fsmbot.trace import Trace

        observers.append(Trace(options.trace, text=options.trace_text))
    elif options.trace_text:
        raise FsmbotError("--trace-text adds to a trace; name its file with --trace FILE")
    if options.otel:
        from fsmbot.telemetry import Spans

        observers.append(Spans())
    return observers


def _with_doctor(flow: Flow, folder: Path | None) -> Flow:
    """Return the flow with another artefact for its doctor."""
    import msgspec

    if folder is None:
        return flow
    if not folder.is_dir():
        raise FsmbotError(f"--doctor {folder}: there is no such folder")
    from fsmbot.doctor.artefact import check_artefact

    check_artefact(folder)
    settings = {**flow.resources.get("doctor", {}), "adapter": folder.absolute()}
    return msgspec.structs.replace(flow, resources={**flow.resources, "doctor": settings})


def check(options: argparse.Namespace) -> int:
    """Report the mistakes of every file named."""
    code = 0
    for path in options.flows:
        try:
            print(safe(f"{path}: ok, {_checked(options, path)}"))
        except (FlowError, RegistrationError) as error:
            print(safe(error.pointed()), file=sys.stderr)
            code = WRONG
    return code


def _checked(options: argparse.Namespace, path: Path) -> str:
    """Read a flow or a test file, and return what is in it."""
    if not path.name.endswith(".test.yaml"):
        count = len(_load(options, path).all_nodes)
        return f"{count} node" + "s" * (count != 1)
    from fsmbot.testing.reader import read_script

    _registry(options)
    count = len(read_script(path).cases)
    return f"{count} test" + "s" * (count != 1)


def graph(options: argparse.Namespace) -> int:
    """Draw a flow, with the way of a conversation where one is named."""
    from fsmbot.drawing.picture import marked, picture
    from fsmbot.drawing.render import drawn, form_of

    form = options.format or form_of(options.out)
    if form == "png" and options.out is None and sys.stdout.isatty():
        raise DrawingError("a terminal cannot show a PNG; write it to a file: --out flow.png")
    flow = _load(options, options.flow_file)
    seen = picture(flow) if options.depth is None else picture(flow, options.depth)
    visits = _visits(options, flow.all_nodes)
    if visits is not None:
        seen = marked(seen, visits.nodes, visits.routes)
    _write(drawn(seen, form), options.out)
    return 0


def _visits(options: argparse.Namespace, known: Collection[str]) -> Visits | None:
    """Return what is to be marked: the way of a conversation, or what the flow's tests walk."""
    from fsmbot.drawing.visits import read_visits, visits

    if options.path is not None:
        return read_visits(options.path, known)
    if not options.coverage:
        return None
    from fsmbot.testing import run_tests

    return visits(event for result in run_tests(options.flow_file) for event in result.events)


def _write(content: bytes, path: Path | None) -> None:
    """Write to a file, or to standard output."""
    if path is None:
        sys.stdout.buffer.write(content)
        return
    try:
        path.write_bytes(content)
    except OSError as error:
        raise DrawingError(f"{path} cannot be written: {error.strerror or error}") from error


def schema(options: argparse.Namespace) -> int:
    import json

    from fsmbot.schema import flow_schema

    if options.tests:
        from fsmbot.testing.schema import script_schema

        found = script_schema()
    else:
        found = flow_schema(_registry(options, plugins=True))
    print(json.dumps(found, indent=2))
    return 0


def handlers(options: argparse.Namespace) -> int:
    from fsmbot.describe import describe_handlers

    print(safe(describe_handlers(_registry(options, plugins=True))), end="")
    return 0


def test(options: argparse.Namespace) -> int:
    from fsmbot.testing.command import test

    _registry(options)
    return test(options)


def sessions(options: argparse.Namespace) -> int:
    from fsmbot.shelf.listing import listed

    print(safe(listed(_store_file(options))))
    return 0


def delete(options: argparse.Namespace) -> int:
    from fsmbot.shelf.listing import deleted

    for line in deleted(_store_file(options), options.names):
        print(safe(line))
    return 0


def export(options: argparse.Namespace) -> int:
    from fsmbot.shelf.export import export

    _registry(options)
    options.store = _store_file(options)
    return export(options)


def init(options: argparse.Namespace) -> int:
    """Write the folder of a new bot, and say how to go on."""
    import shlex

    from fsmbot import starter

    for path in starter.init(options.folder):
        print(safe(str(path)))
    print(safe(f"\nTalk with it:\n  cd {shlex.quote(str(options.folder))}"))
    print("  python -m fsmbot --flow flow.yaml --handlers handlers.py --watch")
    print("Test it:\n  python -m fsmbot test flow.yaml --handlers handlers.py")
    return 0
