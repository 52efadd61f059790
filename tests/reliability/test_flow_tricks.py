"""Names in flow files that would lead somewhere else: to other code, to other files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.bombs import ONE
from tests.reliability.mutations import REAL

ROOT = Path(__file__).parent.parent.parent

HANDLERS_OF_OTHERS = [
    *("os.system", "os:system", "builtins.eval", "__import__('os')", "__import__", "eval", "exec", "open"),
    *(
        "evil",
        "evil.run",
        "evil:run",
        "evil.py",
        "./evil.py",
        "../../etc/passwd",
        "fsmbot.cli:main",
        "antigravity",
    ),
    *(
        "!!python/name:os.system",
        "lambda: 0",
        "{__class__}",
        "${HOME}",
        "$(touch x)",
        "`touch x`",
        "%s",
        "{0}",
    ),
    *(
        "ѕay",
        "ｓａｙ",
        "say\u200b",
        "SAY",
        "say ",
        "sаy",
        "ask\u2010user",
        "say\x00",
        "say\n",
        "",
        "\ud83d\ude00",
    ),
]
FILES_OUTSIDE = [
    *("../secret.yaml", "../../etc/passwd", "/etc/passwd", "/etc/passwd.yaml", "//etc/x.yaml", "/dev/zero"),
    *(
        "sub/../../secret.yaml",
        "./../secret.yaml",
        "sub/..",
        "..",
        ".",
        "",
        "/",
        "sub",
        "dir.yaml",
        "dir.yaml/",
    ),
    *("link.yaml", "linked/secret.yaml", "chain.yaml", "round.yaml", "pipe.yaml", "zero.yaml", "stdin.yaml"),
    *("~/secret.yaml", "~root/secret.yaml", "$HOME/secret.yaml", "${HOME}/secret.yaml", "%2e%2e/secret.yaml"),
    *(
        "..%2fsecret.yaml",
        "%00.yaml",
        "a\x00.yaml",
        "../secret.yaml\x00.yaml",
        "..\\secret.yaml",
        "．．/secret.yaml",
    ),
    *(
        "file:///etc/passwd.yaml",
        "http://localhost/x.yaml",
        "//localhost/x.yaml",
        "C:\\x.yaml",
        "|id.yaml",
        "-.yaml",
    ),
    *(
        "x" * 300 + ".yaml",
        "x/" * 3000 + "a.yaml",
        "../" * 3000 + "a.yaml",
        "./" * 3000 + "a.yaml",
        "SECRET.YAML",
    ),
    *(
        "secret.yaml\n",
        "\u202elmay.terces",
        "CON.yaml",
        "secret.yaml:stream",
        "/proc/self/environ.yaml",
        "*.yaml",
    ),
]
TEMPLATES = {
    "handler": "start: a\nnodes:\n  a: {handler: NAME, next: end}\n",
    "node": "start: a\nnodes:\n  ? NAME\n  : {next: end}\n",
    "setting": "start: a\nnodes:\n  a: {handler: say, next: end, text: NAME, ? NAME : NAME}\n",
    "resource": "resources: {? NAME : {path: NAME}, doctor: {adapter: NAME}, vectors: {path: NAME}}\n" + ONE,
    "subflow": "start: a\nnodes:\n  a: {flow: NAME, next: b}\n  b: {flow: NAME, handler: NAME, next: NAME}\n",
    "key": "? NAME\n: NAME\nflow: NAME\nimport: NAME\ninclude: [NAME]\nhandlers: NAME\n" + ONE,
    "tag": "start: !!python/name:BARE x\nnodes: !!python/object/apply:BARE [x]\n",
}
"""Where such a name may stand: in quotes, or as it is."""


@pytest.fixture
def tricks(tmp_path: Path) -> Path:
    """A folder of files to check, with traps beside and inside it."""
    folder = tmp_path / "flows"
    (folder / "sub").mkdir(parents=True)
    (folder / "dir.yaml").mkdir()
    (tmp_path / "secret.yaml").write_text("canary: true\n")
    for place in (folder, tmp_path, folder / "sub"):
        (place / "evil.py").write_text("raise SystemExit('imported')\n")
    links = {"link.yaml": "../secret.yaml", "linked": "..", "chain.yaml": "linked/secret.yaml"}
    links |= {"round.yaml": "round.yaml", "zero.yaml": "/dev/zero", "stdin.yaml": "/dev/stdin"}
    for name, target in links.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe.yaml")
    for number, text in enumerate(trick_files()):
        (folder / f"check-{number:04}.yaml").write_text(text, encoding="utf-8", errors="replace")
    return folder


def trick_files() -> Iterator[str]:
    """Yield a flow file for each name at each place."""
    for name in dict.fromkeys([*HANDLERS_OF_OTHERS, *FILES_OUTSIDE]):
        for template in TEMPLATES.values():
            yield template.replace("NAME", json.dumps(name)).replace("BARE", name)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A folder of files that make fsmbot import all that it imports when it is first needed."""
    folder = tmp_path / "before"
    folder.mkdir()
    for name, data in REAL.items():
        (folder / name).write_bytes(data)
    nodes = 'a: {handler: sya, nxt: x}, c: {flow: d.yaml}, ? "\\n" : {}'
    (folder / "wrong.yaml").write_text(f"start: b\nnodes: {{{nodes}}}\n")
    (folder / "wrong.test.yaml").write_text("flow: a.yaml\ntests: {a: [{usr: x}]}\n")
    (folder / "broken.yaml").write_text("a: [")
    return folder


def audit(before: Path, folder: Path) -> list[dict[str, Any]]:
    """Return what was imported, run, opened and listed for each file of the folder."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.audited", str(before), str(folder)],
        cwd=ROOT, capture_output=True, encoding="utf-8", timeout=100, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def outside(file: str, folder: Path) -> bool:
    """Whether a file is none of the folder; where Python looks for installed plug-ins is not counted."""
    where = [*map(os.path.abspath, sys.path), str(ROOT)]
    plugins = file in where or file.endswith(("-info/entry_points.txt", "-info/METADATA", "-info"))
    return not (plugins or Path(os.path.normpath(file)).is_relative_to(folder))


def judge_tricks(before: Path, tricks: Path) -> int:
    """Nothing is imported, nothing outside is opened, listed or told; return how many files are checked."""
    found = audit(before, tricks)
    for one in found:
        text = (tricks / one["path"]).read_text(encoding="utf-8")[:400]
        assert not one["runs"], text
        assert not [file for file in one["files"] if outside(file, tricks)], text
        assert "canary" not in one["said"], text
    return len(found)


def test_some_tricks(before: Path, tricks: Path) -> None:
    """An audit hook hears of every import, and of every file that is opened and folder that is listed."""
    for number, path in enumerate(sorted(tricks.glob("check-*.yaml"))):
        if number % 8:
            path.unlink()
    assert judge_tricks(before, tricks) > 50


@pytest.mark.hard
@pytest.mark.promise(5, "hostile names of handlers, files and resources: no import, no file opened outside")
def test_all_tricks(before: Path, tricks: Path, reached: Callable[[str], None]) -> None:
    """The same for every name at every place."""
    count = judge_tricks(before, tricks)
    assert count == len(list(trick_files()))
    reached(f"0 of {count:,} files")


def test_the_audit_would_hear_of_it(before: Path, tmp_path: Path) -> None:
    """A test file, unlike a flow, may name a flow in another folder: that is heard."""
    folder = tmp_path / "flows"
    folder.mkdir()
    (tmp_path / "above.yaml").write_text(ONE)
    (folder / "check-it.test.yaml").write_text("flow: ../above.yaml\ntests: {a: [{user: x}]}\n")
    (found,) = audit(before, folder)
    assert str(tmp_path / "above.yaml") in [file for file in found["files"] if outside(file, folder)]
