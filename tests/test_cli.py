"""The command line: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fsmbot.cli import main

ROOT = Path(__file__).parent.parent
FLOW = str(ROOT / "flows" / "doctor.yaml")


def test_check_accepts_the_reference_flow(capsys: pytest.CaptureFixture[str]) -> None:
    """A good flow gets one line and exit code 0."""
    assert main(["check", FLOW]) == 0
    assert capsys.readouterr().out == f"{FLOW}: ok, 6 nodes\n"


def test_check_reports_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One broken file does not hide the next; the exit code is 2, the errors are on stderr."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("start: ask_usr\nnodes:\n  ask_user: {next: end}\n")
    assert main(["check", str(broken), FLOW, str(tmp_path / "gone.yaml")]) == 2
    out, err = capsys.readouterr()
    assert out == f"{FLOW}: ok, 6 nodes\n"
    assert err == (
        f"{broken}:1:8: start names unknown node 'ask_usr'; did you mean 'ask_user'?\n"
        "    start: ask_usr\n"
        "           ^\n"
        f"{tmp_path}/gone.yaml:1:1: the file cannot be read: No such file or directory\n"
    )


def test_a_wrong_flow_file_ends_the_talk_before_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--flow` with mistakes prints them and exits with 2."""
    (tmp_path / "f.yaml").write_text("start: a\nnodes:\n  a: {handler: ask_usr, next: end}\n")
    assert main(["--flow", str(tmp_path / "f.yaml")]) == 2
    assert "f.yaml:3:16: node 'a': unknown handler 'ask_usr'; did you mean 'ask_user'?" in (
        capsys.readouterr().err
    )


def test_nothing_to_do_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a flow or a command the help is shown and the exit code is 2."""
    assert main([]) == 2
    assert "name a flow with --flow FILE" in capsys.readouterr().err


@pytest.mark.parametrize(("form", "first"), [("mermaid", "flowchart TD"), ("dot", 'digraph "doctor" {')])
def test_graph_prints_text(form: str, first: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both forms come out on stdout."""
    assert main(["graph", FLOW, "--format", form]) == 0
    assert capsys.readouterr().out.splitlines()[0] == first


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """What an editor reads is valid JSON and knows the built-in handlers."""
    assert main(["schema"]) == 0
    assert "ask_doctor" in json.loads(capsys.readouterr().out)["properties"]["nodes"]["properties"]


def test_handlers_lists_names_settings_outcomes_and_summaries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One's own handlers are listed beside the built-in ones."""
    mine = tmp_path / "mine_listed.py"
    mine.write_text(
        "from typing import Literal\nfrom fsmbot import handler, Turn\n"
        "@handler\ndef check_age(turn: Turn, *, least: int = 18) -> Literal['adult', 'minor']:\n"
        "    '''Ask whether the user is of age.\\n\\n    least: the age from which one is of age.'''\n"
        "    return 'adult'\n"
    )
    assert main(["handlers", "--handlers", str(mine)]) == 0
    assert (
        "check_age  Ask whether the user is of age.\n"
        "    outcomes  adult | minor\n"
        "    setting   least: a whole number (default 18)\n"
        "                the age from which one is of age.\n"
    ) in capsys.readouterr().out


def test_own_handlers_may_be_named_before_or_after_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--handlers` works in both places; a module that fails to import is named."""
    (tmp_path / "mine_both.py").write_text(
        "from fsmbot import handler, Turn\n@handler\ndef mine_both(turn: Turn) -> None: ...\n"
    )
    flow = tmp_path / "f.yaml"
    flow.write_text("start: mine_both\nnodes:\n  mine_both: {next: end}\n")
    mine = ["--handlers", str(tmp_path / "mine_both.py")]
    assert main([*mine, "check", str(flow)]) == 0
    assert main(["check", str(flow), *mine]) == 0
    (tmp_path / "bad.py").write_text("1 / 0")
    assert main(["--handlers", str(tmp_path / "bad.py"), "check", str(flow)]) == 2
    assert "bad.py' cannot be imported: ZeroDivisionError" in capsys.readouterr().err


def fsmbot(*arguments: str, said: bytes = b"", seconds: float = 120) -> subprocess.CompletedProcess[bytes]:
    """Run the program as from a shell, with some lines piped in."""
    return subprocess.run(
        [sys.executable, "-m", "fsmbot", *arguments],
        cwd=ROOT,
        input=said,
        capture_output=True,
        timeout=seconds,
    )


def test_a_greeting_is_answered_without_a_terminal() -> None:
    """Plain text in, plain text out, exit code 0, nothing on stderr."""
    done = fsmbot("--flow", FLOW, said=b"hello\n")
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout.decode().splitlines()[:2] == [
        "What would you like to ask?",
        "Nice to hear from you! I am an AI that answers questions about health; ask me whenever you like.",
    ]


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`fsmbot handlers | head -1` ends quietly, with the exit code of a broken pipe."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fsmbot", "schema"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize(("closed", "code", "told"), [
    ("<&-", 0, ""),
    (">&-", 2, "fsmbot: standard output is closed, so nothing can be shown\n"),
    ("2>&-", 2, ""),
])  # fmt: skip
def test_a_closed_stream_is_no_crash(closed: str, code: int, told: str) -> None:
    """Without an input all goes on, as most commands read none; without an output nothing is done."""
    command = f'"{sys.executable}" -m fsmbot check {FLOW} {closed}'
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, timeout=120)
    assert (done.returncode, done.stderr.decode()) == (code, told)
    assert bool(done.stdout) == (code == 0)


def test_a_greeting_never_loads_torch() -> None:
    """The doctor's libraries are imported for medical questions only."""
    code = (
        "import io, sys; from fsmbot.cli import main\n"
        "sys.stdin = io.TextIOWrapper(io.BytesIO(b'hello\\n'))\n"
        f"main(['--flow', {FLOW!r}]); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.model
@pytest.mark.timeout(600)
def test_a_medical_question_is_answered_by_the_real_model() -> None:
    """The whole conversation with real parts: flow, word vectors, 4-bit model, disclaimer."""
    from fsmbot.handlers.doctor import DISCLAIMER

    fetched = subprocess.run([sys.executable, "-m", "fsmbot.doctor", "fetch"], cwd=ROOT, capture_output=True)
    assert fetched.returncode == 0, fetched.stderr
    done = fsmbot("--flow", FLOW, said=b"I have had a sore throat for three days\n", seconds=500)
    assert (done.returncode, done.stderr) == (0, b"")
    prompt, *answer = done.stdout.decode().strip().splitlines()
    assert prompt == "What would you like to ask?"
    assert answer[-1] == DISCLAIMER
    assert len(" ".join(answer[:-1]).split()) > 5


def test_a_doctor_without_a_flow_talks_in_the_reference_flow(tmp_path: Path) -> None:
    """`python -m fsmbot --doctor FOLDER` is enough, also where only the package is installed."""
    packaged = ROOT / "fsmbot" / "assets" / "doctor.yaml"
    assert packaged.read_text() == (ROOT / FLOW).read_text()
    done = fsmbot("--doctor", str(ROOT / "fsmbot" / "assets" / "doctor"), said=b"hello\n")
    assert done.returncode == 0
    assert done.stdout.startswith(b"What would you like to ask?")


def test_a_resource_that_nobody_makes_is_found_by_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A setting whose `*` was forgotten is a resource, and there is none of its name."""
    mine = tmp_path / "mine_star.py"
    mine.write_text("from fsmbot import handler, Turn\n@handler\ndef star(turn: Turn, count) -> None: ...\n")
    (tmp_path / "f.yaml").write_text("start: star\nnodes:\n  star: {next: end}\n")
    assert main(["check", str(tmp_path / "f.yaml"), "--handlers", str(mine)]) == 2
    err = capsys.readouterr().err
    assert "asks for a resource 'count', and there is none; known: doctor, vectors (a setting stands" in err
    assert "mine_star.py:2" in err


def test_a_doctor_that_is_not_there_is_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """And not at the first medical question."""
    assert main(["--flow", FLOW, "--doctor", "/nowhere"]) == 2
    assert capsys.readouterr().err == "--doctor /nowhere: there is no such folder\n"


@pytest.mark.model
@pytest.mark.timeout(300)
def test_leaving_while_the_doctor_loads_is_no_crash() -> None:
    """The exit code is 0, whenever the model is left in the middle of its loading."""
    code = (
        "import sys, threading, time\n"
        "from fsmbot import cli\n"
        "def talk(arguments=None):\n"
        "    from fsmbot.doctor import LocalDoctor\n"
        "    doctor = LocalDoctor()\n"
        "    doctor.preload()\n"
        "    time.sleep(float(sys.argv[1]))\n"
        "    assert doctor.status == 'loading', doctor.status\n"
        "    return 0\n"
        "cli.main = talk\n"
        "cli.run()\n"
    )
    for seconds in ("0.5", "2", "4"):
        done = subprocess.run([sys.executable, "-c", code, seconds], cwd=ROOT, capture_output=True, text=True)
        if "AssertionError" in done.stderr:
            break  # it was loaded already, on a fast machine
        assert (done.returncode, done.stderr) == (0, ""), seconds
