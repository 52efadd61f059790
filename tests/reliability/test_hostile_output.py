"""The same thousand strings where no terminal is: in pipes, in files that commands read, in their options;
and the reason why none comes out raw: whatever is written passes the one sanitiser.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hostile import STRINGS, check, harmless, marked, written

ROOT = Path(__file__).parent.parent.parent
ALL = range(len(STRINGS))
IN_FILES = [number for number in ALL if not any("\ud800" <= c <= "\udfff" for c in STRINGS[number])]
"""The strings without lone surrogates, which neither YAML nor UTF-8 can hold."""

NAMES = [marked(number) for number in IN_FILES]


def run(*arguments: str | bytes, folder: Path, said: bytes = b"") -> tuple[str, str]:
    """Run `python -m` with these arguments; return its stdout and stderr, each of them harmless."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        input=said,
        cwd=folder,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "1000"},
        timeout=100,
    )
    out, err = (harmless(stream.decode("utf-8"), allowed="\n\t") for stream in (done.stdout, done.stderr))
    return out, err


def as_yaml(data: object) -> str:
    """Return data as JSON, but with YAML's long escapes, as YAML reads no pair of short ones."""
    text = json.dumps(data, ensure_ascii=False, indent=1)
    return re.sub(r"[^ -~\n]", lambda c: f"\\U{ord(c[0]):08x}", text)


HANDLERS = """
import logging, sys, threading, warnings
from fsmbot import Turn, handler
from collections.abc import Iterator

@handler
def echo(turn: Turn) -> Iterator[str]:
    yield from turn.text
    logging.warning(turn.text)
    warnings.warn(turn.text)
    print(turn.text, file=sys.stderr)
    threading.Thread(target=fail, args=[turn.text]).start()

def fail(text):
    raise ValueError(text)
"""
FLOW = {
    "start": "ask",
    "nodes": {"ask": {"handler": "ask_user", "next": "echo"}, "echo": {"next": "ask"}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a flow that says and logs what it is told."""
    (tmp_path / "my.py").write_text(HANDLERS)
    (tmp_path / "flow.yaml").write_text(json.dumps(FLOW))
    return tmp_path


TALK = ("fsmbot", "--flow", "flow.yaml", "--handlers", "my.py")


@pytest.mark.promise(6, "hostile strings said, logged, printed and raised without a terminal: none comes out")
def test_pipes_carry_only_harmless_text(folder: Path, reached: Callable[[str], None]) -> None:
    """What is said, logged, warned of, printed and raised in a thread, without a terminal."""
    said = "\n".join(map(marked, ALL)).encode("utf-8", "surrogatepass")
    out, err = run(*TALK, folder=folder, said=said)
    check(out, ALL)
    check(err, ALL, times=4)
    reached(f"{len(STRINGS):,} strings in 5 ways, 0 hostile characters came out")


def test_json_lines_carry_every_character_as_an_escape(folder: Path) -> None:
    """The output is harmless, and whoever reads it as JSON gets what was said, to the letter."""
    out, _ = run(*TALK, "--json", folder=folder, said="\n".join(NAMES).encode())
    events = [json.loads(line) for line in out.splitlines()]
    text = "".join(event["text"] for event in events if event["event"] == "said" and event["node"] == "echo")
    assert text == "".join(NAMES)


def test_check_tells_of_hostile_flows_in_harmless_text(folder: Path) -> None:
    """Names that are wrong, and the lines where they stand, also where the file itself cannot be read."""
    for place in range(0, len(NAMES), 100):  # of so many, each mistake is told
        nodes = {name: {"next": name + "?", name: 1} for name in NAMES[place : place + 100]}
        broken = {"name": "x", "start": NAMES[place], "nodes": nodes}
        (folder / "broken.yaml").write_text(as_yaml(broken))
        told = run("fsmbot", "check", "broken.yaml", folder=folder)[1]
        check(told, IN_FILES[place : place + 100], times=2)
    (folder / "raw.yaml").write_text(json.dumps(broken, ensure_ascii=False, indent=1))
    assert "is not allowed; remove it" in run("fsmbot", "check", "raw.yaml", folder=folder)[1]


def test_hostile_flows_are_tested_and_drawn_in_harmless_text(folder: Path) -> None:
    """What a failed test expected and saw; nodes and titles in Mermaid and DOT."""
    following = dict(zip(NAMES, [*NAMES[1:], "ask"], strict=True))
    said = {name: {"handler": "say", "text": name, "next": target} for name, target in following.items()}
    nodes = {"ask": {"handler": "ask_user", "prompt": "Yes?", "next": NAMES[0]}, **said}
    whole = {"name": " ".join(NAMES), "start": "ask", "max_steps": 9_999, "nodes": nodes}
    (folder / "whole.yaml").write_text(as_yaml(whole))
    tests = {name: [{"user": name, "says": name + "!"}] for name in NAMES[::20]}
    (folder / "whole.test.yaml").write_text(as_yaml({"tests": tests}))
    check(run("fsmbot", "test", "whole.yaml", folder=folder)[0], IN_FILES[::20], times=2)
    for form in ("mermaid", "dot"):
        drawn, _ = run("fsmbot", "graph", "whole.yaml", "--format", form, folder=folder)
        assert all(f"{number}|" in drawn for number in IN_FILES)


@pytest.mark.parametrize(
    "command",
    [
        ("fsmbot", "--flow", "{}"),
        ("fsmbot", "--{}"),
        ("fsmbot", "check", "{}"),
        ("fsmbot", "check", "flow.yaml", "--handlers", "{}"),
        ("fsmbot", "graph", "flow.yaml", "--handlers", "my.py", "--out", "{}"),
        ("fsmbot", "sessions", "export", "{}", "--store", "{}"),
        ("fsmbot.doctor", "fetch", "--{}"),
        ("trainer", "plan", "--config", "{}"),
        ("trainer", "preview", "--config", "x", "--rows", "{}"),
        ("trainer", "evaluate-gate", "{}", "--{}"),
    ],
    ids=" ".join,
)
def test_hostile_options_are_told_in_harmless_text(folder: Path, command: tuple[str, ...]) -> None:
    """Names of files, values and unknown options, as the system gives them: bytes of any kind."""
    text = written([number for number in ALL if "\0" not in STRINGS[number]][:: len(STRINGS) // 40])
    given = [part.format(text).encode("utf-8", "surrogatepass") for part in command]
    _, err = run(*given, folder=folder)
    assert "\ufffd" in err or "\\x" in err
    assert "Traceback" not in err


def test_hostile_messages_are_judged_in_harmless_text(folder: Path) -> None:
    """`python -m trainer evaluate-gate` shows messages of somebody else, and the values of a column."""
    with (folder / "gate.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", NAMES[9]])
        # One of the two labels is wrong, and so the message is shown.
        writer.writerows([name, label, name] for name in NAMES for label in ("everyday", "medical"))
    judge = ("evaluate-gate", "gate.csv", "--worst", "9999", "--by", NAMES[9])
    check(run("trainer", *judge, folder=folder)[0], IN_FILES, times=2)


def test_hostile_dialogues_are_previewed_in_harmless_text(
    folder: Path, tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m trainer preview` shows the examples of a file as the model will see them."""
    pytest.importorskip("torch")
    from trainer.cli import main

    rows = [{"input": f"What helps {name} at night?", "output": "Drink water. Rest."} for name in NAMES]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"train": [{"path": "data.jsonl"}], "max_tokens": 400, "system": ""}
    (folder / "config.yaml").write_text(json.dumps({"base": {"id": str(tiny_base)}, "data": data}))
    assert main(["preview", "--config", str(folder / "config.yaml"), "--rows", "9999"]) == 0
    check(harmless(capsys.readouterr().out, allowed="\n\t"), IN_FILES)


@cache
def calls() -> list[tuple[str, ast.Call]]:
    """Return every call in the source of fsmbot and trainer, with its file."""
    files = sorted([*ROOT.glob("fsmbot/**/*.py"), *ROOT.glob("trainer/**/*.py")])
    trees = [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in files]
    return [
        (str(path.relative_to(ROOT)), node)
        for path, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]


SAFE = ("safe", "safe_line", "block")
"""What makes text safe; `block` puts safe lines together."""

PRINTED_OTHERWISE = {
    "fsmbot/actions.py: json.dumps(found, indent=2)": "ASCII",
    "fsmbot/testing/command.py: line": "summary() makes safe lines",
    "fsmbot/logs.py: line": "the formatter makes safe lines",
    "trainer/train.py: render(example, tokenizer, color=color)": "it makes its parts safe, and colours them",
    "trainer/report.py: f'step {step}/{self._steps}  {text}'": "numbers",
}
"""What is printed without a call of the sanitiser on the spot, and why it may be."""


def test_all_that_is_printed_passes_the_sanitiser() -> None:
    """Every print in the source prints a constant or what `safe` made, or stands above with its reason."""
    printed = [
        (file, what) for file, call in calls() if ast.unparse(call.func) == "print" for what in call.args
    ]
    assert len(printed) > 20
    unsafe = {f"{file}: {ast.unparse(what)}" for file, what in printed if not _is_safe(what)}
    assert unsafe == set(PRINTED_OTHERWISE)


def _is_safe(what: ast.expr) -> bool:
    if isinstance(what, ast.Call):
        return ast.unparse(what.func) in SAFE
    return isinstance(what, ast.Constant) or (
        isinstance(what, ast.JoinedStr) and all(map(_is_constant_or_number, what.values))
    )


def _is_constant_or_number(part: ast.expr) -> bool:
    """Return whether a part of an f-string is fixed text, or a number by its format or its function."""
    if isinstance(part, ast.Constant):
        return True
    assert isinstance(part, ast.FormattedValue)
    counted = isinstance(part.value, ast.Call) and ast.unparse(part.value.func) in ("len", "sum")
    return counted or part.format_spec is not None


WRITTEN = {
    "fsmbot/actions.py: sys.stdout.buffer.write(content)": "a drawing, whose texts are safe lines",
    "fsmbot/writers.py: self._out.write(safe(event.text))": "",
    "fsmbot/writers.py: self._out.write(safe(message) + '\\n')": "",
    "fsmbot/writers.py: self._out.write('\\n')": "",
    "fsmbot/writers.py: self._out.write(escaped(line) + '\\n')": "JSON, its hostile characters as escapes",
    "fsmbot/writers.py: self._err.write(safe(line) + '\\n')": "",
    "fsmbot/logs.py: self.write(line)": "the formatter makes safe lines",
    "fsmbot/terminal.py: self.output.write(text)": "made safe above, and by the fence",
    "fsmbot/terminal.py: self._output.write(safe(text, keep=''))": "",
    "fsmbot/terminal.py: self._output.write_raw('\\r')": "",
    "fsmbot/text.py: super().write(safe(text, keep=self._keep))": "",
    "trainer/stopping.py: os.write(2, b'\\nfinishing this step, then saving; again to stop at once\\n')": "",
}
"""Every write to a stream or a terminal: safe where it stands, or for the reason given."""

FILES = ("file", "_file", "ET.ElementTree(root)")
"""What files are called that are written to; a file is safe when it is shown."""


def test_all_that_is_written_passes_the_sanitiser() -> None:
    """Whoever adds a write to a stream has to say here why it is safe."""
    found = {f"{file}: {ast.unparse(call)}" for file, call in calls() if _is_write(call.func)}
    assert found == set(WRITTEN)


def _is_write(function: ast.expr) -> bool:
    """Return whether this function writes text or bytes, but not into a file."""
    if not isinstance(function, ast.Attribute) or function.attr not in ("write", "writelines", "write_raw"):
        return False
    return ast.unparse(function.value).removeprefix("self.") not in FILES


JUDGES = {
    "fsmbot/text.py": "the sanitiser",
    "fsmbot/errors.py": "a mistake stays on the line that begins with its place",
    "fsmbot/vectors/store.py": "a vocabulary with unprintable words is refused",
    "fsmbot/doctor/sound.py": "an answer of unprintable characters is no answer",
}
"""What looks at the kinds of characters, and what for."""


def test_there_is_one_sanitiser() -> None:
    """Only fsmbot/text.py decides what may be shown; who else looks at characters says why."""
    deciding = {file for file, call in calls() if ast.unparse(call.func).endswith(".isprintable")}
    assert deciding == set(JUDGES)


def test_the_streams_of_each_program_are_fenced() -> None:
    """What Python, libraries and handlers write there by themselves passes the sanitiser as well."""
    fenced: Iterator[str] = (file for file, call in calls() if ast.unparse(call.func) == "fence_streams")
    assert set(fenced) == {"fsmbot/cli.py", "fsmbot/doctor/__main__.py", "trainer/__main__.py"}
