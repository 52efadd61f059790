"""The command line: `fsmbot --flow F` talks; check, graph, schema and handlers tell about flows;
test runs their tests; sessions looks into a store.

Every command imports what it needs when it runs, so that `--help` and `check` stay quick. The exit
code is 0 when all went well, 1 when a handler or a test failed or output could not be written, 2 for
a wrong command line or file, 130 after Ctrl-C, 141 when the reader of the output went away.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fsmbot.errors import DrawingError, FlowError, FsmbotError
from fsmbot.text import safe

if TYPE_CHECKING:
    from fsmbot.flow import Flow
    from fsmbot.observe import Observer
    from fsmbot.registry import Registry

WRONG = 2
REFERENCE = Path(__file__).parent / "assets" / "doctor.yaml"
"""A copy of flows/doctor.yaml, which an installed package has not."""
"""The exit code for a wrong command line or flow file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        return WRONG  # a stream is closed: there is nobody to talk with, and no way to say so
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except FsmbotError as error:
        print(safe(_told(error)), file=sys.stderr)
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


def _told(error: FsmbotError) -> str:
    """Return an error's message; a flow's mistakes with the lines where they stand."""
    return error.pointed() if isinstance(error, FlowError) else str(error)


def _drop_output() -> None:
    """Send what is still buffered nowhere, as it cannot be written."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fsmbot",
        description="Talk with a flow, or look into one.",
        epilog="Without a command, --flow opens the conversation; piped in, it reads a message a line.",
    )
    parser.add_argument("--version", action="version", version=f"fsmbot {_version()}")
    parser.add_argument("--flow", metavar="FILE", type=Path, help="the flow file to talk with")
    parser.add_argument(
        "--doctor",
        metavar="FOLDER",
        type=Path,
        help="the trained doctor to use (without --flow: in the reference flow)",
    )
    parser.add_argument("--no-history", action="store_true", help="keep no input history on disk")
    parser.add_argument("--json", action="store_true", help="write the events as JSON lines")
    parser.add_argument("--watch", action="store_true", help="load the flow anew whenever it is edited")
    _add_observers(parser)
    _add_handlers(parser, default=[])
    parser.set_defaults(run=_talk, parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_commands(commands)
    return parser


def _add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser("check", help="report every mistake in flow files")
    check.add_argument("flows", nargs="+", metavar="FLOW", type=Path)
    check.set_defaults(run=_check)
    graph = commands.add_parser("graph", help="draw a flow as a picture or as text")
    _add_graph(graph)
    schema = commands.add_parser("schema", help="print a JSON Schema of flow files for editors")
    schema.add_argument("--tests", action="store_true", help="of test files instead")
    schema.set_defaults(run=_schema)
    handlers = commands.add_parser("handlers", help="list the registered handlers")
    handlers.set_defaults(run=_handlers)
    test, export = _add_test(commands), _add_sessions(commands)
    for command in (check, graph, schema, handlers, test, export):
        _add_handlers(command, default=argparse.SUPPRESS)  # else it would empty what stands before


def _add_graph(graph: argparse.ArgumentParser) -> None:
    graph.add_argument("flow_file", metavar="FLOW", type=Path)
    graph.add_argument(
        "--format",
        choices=["mermaid", "dot", "svg", "png"],
        help="default: by the name of the file, else mermaid",
    )
    graph.add_argument("-o", "--out", metavar="FILE", type=Path, help="write to a file, such as flow.svg")
    graph.add_argument(
        "--path",
        metavar="EVENTS",
        type=Path,
        help="mark the way of a conversation, from a file of what --json printed (-: standard input)",
    )
    graph.set_defaults(run=_graph)


def _add_observers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trace", metavar="FILE", type=Path, help="append every event with its times to a file of JSON lines"
    )
    parser.add_argument("--trace-text", action="store_true", help="write into the trace what is said, too")
    parser.add_argument("--otel", action="store_true", help="record OpenTelemetry spans")


def _add_test(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    test = commands.add_parser("test", help="run the tests that stand beside flows in *.test.yaml files")
    test.add_argument(
        "paths", nargs="+", metavar="PATH", type=Path, help="a flow, a test file, or a folder of them"
    )
    test.add_argument(
        "-k", dest="words", metavar="WORDS", default="", help="only tests whose name contains this"
    )
    test.add_argument(
        "--min-coverage", metavar="PERCENT", type=float, help="fail where fewer nodes and routes are walked"
    )
    test.add_argument("--junit", metavar="FILE", type=Path, help="write the results as JUnit XML too")
    test.set_defaults(run=_test)
    return test


def _add_sessions(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    sessions = commands.add_parser("sessions", help="look into a store of sessions")
    actions = sessions.add_subparsers(title="actions", metavar="ACTION", required=True)
    export = actions.add_parser("export", help="print a stored session")
    export.add_argument("name", metavar="NAME", help="the session's name")
    export.add_argument("--store", metavar="FILE", type=Path, required=True, help="the SQLite file")
    export.add_argument("--as-test", action="store_true", help="as a test file, else as Markdown")
    export.add_argument("--flow", dest="flow_file", metavar="FLOW", type=Path, help="the flow it ran")
    export.add_argument("-o", "--out", metavar="OUT", type=Path, help="write to this new file")
    export.set_defaults(run=_export)
    return export


def _add_handlers(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument(
        "--handlers",
        metavar="MODULE",
        action="append",
        default=default,
        dest="modules",
        help="import your handlers: a module's name or a .py file (may be repeated)",
    )


def _version() -> str:
    from fsmbot import __version__

    return __version__


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
    from fsmbot.loader import load_flow

    _registry(options)
    return load_flow(path)


def _talk(options: argparse.Namespace) -> int:
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
    if options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        from fsmbot.channels import run_json, run_plain

        run = run_json if options.json else run_plain
        return run(flow, sys.stdin.buffer, sys.stdout, observers=observers)
    from fsmbot.repl import Repl

    modules = [Path(name) for name in options.modules if name.endswith(".py")]
    watch = modules if options.watch else None
    return Repl(flow, history=not options.no_history, load=load, watch=watch, observers=observers).run()


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
    import dataclasses

    if folder is None:
        return flow
    settings = {**flow.resources.get("doctor", {}), "adapter": folder.absolute()}
    return dataclasses.replace(flow, resources={**flow.resources, "doctor": settings})


def _check(options: argparse.Namespace) -> int:
    """Report the mistakes of every file named."""
    code = 0
    for path in options.flows:
        try:
            print(safe(f"{path}: ok, {_checked(options, path)}"))
        except FlowError as error:
            print(safe(_told(error)), file=sys.stderr)
            code = WRONG
    return code


def _checked(options: argparse.Namespace, path: Path) -> str:
    """Read a flow or a test file, and return what is in it."""
    if not path.name.endswith(".test.yaml"):
        return f"{len(_load(options, path).nodes)} nodes"
    from fsmbot.testing.reader import read_script

    _registry(options)
    count = len(read_script(path).cases)
    return f"{count} test" + "s" * (count != 1)


def _graph(options: argparse.Namespace) -> int:
    """Draw a flow, with the way of a conversation where one is named."""
    from fsmbot.drawing import drawn, form_of
    from fsmbot.picture import marked, picture

    form = options.format or form_of(options.out)
    if form == "png" and options.out is None and sys.stdout.isatty():
        raise DrawingError("a terminal cannot show a PNG; write it to a file: --out flow.png")
    flow = _load(options, options.flow_file)
    seen = picture(flow)
    if options.path is not None:
        from fsmbot.visits import read_visits

        visits = read_visits(options.path, [shape.name for shape in seen.nodes])
        seen = marked(seen, visits.nodes, visits.routes)
    _write(drawn(seen, form), options.out)
    return 0


def _write(content: bytes, path: Path | None) -> None:
    """Write to a file, or to standard output."""
    if path is None:
        sys.stdout.buffer.write(content)
        return
    try:
        path.write_bytes(content)
    except OSError as error:
        raise DrawingError(f"{path} cannot be written: {error.strerror or error}") from error


def _schema(options: argparse.Namespace) -> int:
    import json

    from fsmbot.schema import flow_schema

    if options.tests:
        from fsmbot.testing.schema import script_schema

        found = script_schema()
    else:
        found = flow_schema(_registry(options, plugins=True))
    print(json.dumps(found, indent=2))
    return 0


def _handlers(options: argparse.Namespace) -> int:
    from fsmbot.describe import describe_handlers

    print(safe(describe_handlers(_registry(options, plugins=True))), end="")
    return 0


def _test(options: argparse.Namespace) -> int:
    from fsmbot.testing.command import test

    _registry(options)
    return test(options)


def _export(options: argparse.Namespace) -> int:
    from fsmbot.testing.export import export

    _registry(options)
    return export(options)
