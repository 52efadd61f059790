"""The house keeps its shape: arrows point one way, imports stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("fsmbot/**/*.py"), *ROOT.glob("trainer/**/*.py")])
HEAVY = ("torch", "transformers", "peft", "bitsandbytes", "gensim", "prompt_toolkit", "numpy", "pygraphviz")


def module_name(path: Path) -> str:
    """Return the dotted name of a source file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a source file imports, wherever the statement stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


ENGINE = ("fsmbot.session", "fsmbot.loader", "fsmbot.flow", "fsmbot.steps", "fsmbot.stores")
CHANNELS = ("fsmbot.repl", "fsmbot.cli", "fsmbot.channels", "fsmbot.talking", "fsmbot.commands")


@pytest.mark.parametrize(
    ("inside", "never"),
    [
        ("fsmbot", ("trainer",)),
        ("fsmbot.errors", ("fsmbot.",)),
        ("fsmbot.contract", ("fsmbot.registry", "fsmbot.flow", *ENGINE, *CHANNELS)),
        ("fsmbot.registry", ("fsmbot.flow", *ENGINE, *CHANNELS)),
        ("fsmbot.events", ("fsmbot.",)),
        ("fsmbot.session", ("fsmbot.loader", *CHANNELS)),
        ("fsmbot.loader", ("fsmbot.session", *CHANNELS)),
        ("fsmbot.moves", ("fsmbot.session", "fsmbot.loader", "fsmbot.stores", *CHANNELS)),
        ("fsmbot.flow", ("fsmbot.checks", "fsmbot.flowfile", "fsmbot.session", "fsmbot.loader", *CHANNELS)),
        ("fsmbot.flowfile", ("fsmbot.session", "fsmbot.loader", "fsmbot.testing", *CHANNELS)),
        ("fsmbot.checks", ("fsmbot.session", "fsmbot.loader", "fsmbot.flowfile", *CHANNELS)),
        ("fsmbot.drawing", ("fsmbot.session", "fsmbot.loader", "fsmbot.testing", *CHANNELS)),
        ("fsmbot.stores", ("fsmbot.session", "fsmbot.loader", "fsmbot.flow", *CHANNELS)),
        ("fsmbot.shelf", ("fsmbot.session", *CHANNELS)),
        ("fsmbot.testing", ("fsmbot.repl", "fsmbot.cli", "fsmbot.channels", "fsmbot.commands")),
        ("fsmbot.handlers", (*ENGINE, *CHANNELS)),
        ("fsmbot.doctor", ("fsmbot.registry", "fsmbot.handlers", *ENGINE, *CHANNELS)),
        ("fsmbot.vectors", ("fsmbot.registry", "fsmbot.handlers", *ENGINE, *CHANNELS)),
    ],
)
def test_arrows_point_one_way(inside: str, never: tuple[str, ...]) -> None:
    """A module imports only what stands below it."""
    for path in SOURCES:
        name = module_name(path)
        if name == inside or name.startswith(inside + "."):
            found = [i for i in imports(path) if _is_one_of(i, never) and i != "fsmbot.errors"]
            if inside not in ("fsmbot.errors", "fsmbot.events"):
                found = [i for i in found if not i.startswith(inside)]
            assert not found, f"{name} imports {found}"


def _is_one_of(name: str, modules: tuple[str, ...]) -> bool:
    """Return whether a module is one of these, or inside one; "fsmbot." stands for all."""
    return any(name == module or name.startswith(module.rstrip(".") + ".") for module in modules)


def test_the_trainer_sees_little_of_the_bot() -> None:
    """It shares errors, base model, prompt format, vectors and the YAML reader, nothing else.

    But `evaluate-gate` judges the handlers, so it calls them.
    """
    shared = ("fsmbot.errors", "fsmbot.doctor", "fsmbot.vectors", "fsmbot.flowfile.yamltree")
    shared += ("fsmbot.flowfile.settings", "fsmbot.nearby", "fsmbot.text")
    judged = ("fsmbot.handlers.greeting", "fsmbot.handlers.medical", "fsmbot.turn")
    for path in SOURCES:
        if module_name(path).startswith("trainer"):
            known = shared + (judged if path.stem == "gate_report" else ())
            found = [i for i in imports(path) if i.startswith("fsmbot.") and not i.startswith(known)]
            assert not found, f"{module_name(path)} imports {found}"


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after running some code."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit: pass\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {line.partition(".")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    "code",
    [
        "import fsmbot",
        "import fsmbot.handlers, fsmbot.doctor, fsmbot.vectors",
        "from fsmbot.cli import main; main(['--help'])",
        "from fsmbot.cli import main; main(['check', 'flows/doctor.yaml'])",
        "from fsmbot.cli import main; main(['graph', 'flows/doctor.yaml'])",
        "from fsmbot.cli import main; main(['schema'])",
        "from fsmbot.cli import main; main(['handlers'])",
    ],
)
def test_light_commands_load_nothing_heavy(code: str) -> None:
    """Import, --help, check and their like start without any model library."""
    assert loaded_by(code).isdisjoint(HEAVY)


def test_prompt_toolkit_stays_in_the_terminal_modules() -> None:
    """The REPL is one channel of several; nothing else depends on its library."""
    users = {module_name(p) for p in SOURCES if any(i.startswith("prompt_toolkit") for i in imports(p))}
    assert users == {"fsmbot.repl", "fsmbot.line_editor", "fsmbot.terminal", "fsmbot.history"}
