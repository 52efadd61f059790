"""The options of the command line, and which function of `actions` each command calls."""

from __future__ import annotations

import argparse
from pathlib import Path

from fsmbot import actions


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; `options.run` is the function that was asked for."""
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
    parser.add_argument("--session", metavar="NAME", help="keep the conversation, and go on with it later")
    _add_store(parser)
    _add_observers(parser)
    _add_handlers(parser, default=[])
    parser.set_defaults(run=actions.talk, parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_commands(commands)
    return parser


def _add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser("check", help="report every mistake in flow files")
    check.add_argument("flows", nargs="+", metavar="FLOW", type=Path)
    check.set_defaults(run=actions.check)
    graph = commands.add_parser("graph", help="draw a flow as a picture or as text")
    _add_graph(graph)
    schema = commands.add_parser("schema", help="print a JSON Schema of flow files for editors")
    schema.add_argument("--tests", action="store_true", help="of test files instead")
    schema.set_defaults(run=actions.schema)
    init = commands.add_parser("init", help="make a folder with a new bot: flow, handler, tests")
    init.add_argument("folder", metavar="FOLDER", type=Path)
    init.set_defaults(run=actions.init)
    handlers = commands.add_parser("handlers", help="list the registered handlers")
    handlers.set_defaults(run=actions.handlers)
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
        "--depth", metavar="N", type=_count, help="open so many levels of subflows, 0 for none (default: all)"
    )
    marks = graph.add_mutually_exclusive_group()
    marks.add_argument(
        "--path",
        metavar="EVENTS",
        type=Path,
        help="mark the way of a conversation, from what --json or --trace wrote (-: standard input)",
    )
    marks.add_argument("--coverage", action="store_true", help="mark what the flow's tests walk")
    graph.set_defaults(run=actions.graph)


def _count(text: str) -> int:
    """Read a whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def _percent(text: str) -> float:
    """Read a percentage."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 100")
    return number


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
        "--min-coverage",
        metavar="PERCENT",
        type=_percent,
        help="fail where fewer nodes and routes are walked",
    )
    test.add_argument("--junit", metavar="FILE", type=Path, help="write the results as JUnit XML too")
    test.set_defaults(run=actions.test)
    return test


def _add_store(parser: argparse.ArgumentParser, default: object = None) -> None:
    parser.add_argument(
        "--store",
        metavar="FILE",
        type=Path,
        default=default,
        help="the file of sessions (default: sessions.db in ~/.local/state/fsmbot)",
    )


def _add_sessions(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    sessions = commands.add_parser("sessions", help="list, export and delete stored sessions")
    _add_store(sessions, argparse.SUPPRESS)
    sessions.set_defaults(run=actions.sessions)
    verbs = sessions.add_subparsers(title="actions", metavar="ACTION")
    listing = verbs.add_parser("list", help="list the sessions, the last used one first (the default)")
    delete = verbs.add_parser("delete", help="delete sessions for good")
    delete.add_argument("names", nargs="+", metavar="NAME", help="a session's name")
    delete.set_defaults(run=actions.delete)
    export = verbs.add_parser("export", help="print a session, or write it to a file")
    export.add_argument("name", metavar="NAME", help="the session's name")
    forms = export.add_mutually_exclusive_group()
    forms.add_argument("--json", dest="as_json", action="store_true", help="as JSON, else as Markdown")
    forms.add_argument("--as-test", action="store_true", help="as a test file")
    export.add_argument("--flow", dest="flow_file", metavar="FLOW", type=Path, help="the flow it ran")
    export.add_argument("-o", "--out", metavar="OUT", type=Path, help="write to this new file")
    export.set_defaults(run=actions.export)
    for verb in (listing, delete, export):
        _add_store(verb, argparse.SUPPRESS)  # else it would take back what stands before
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
