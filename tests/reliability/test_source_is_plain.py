"""Nothing in the source unpickles, evaluates text, runs a shell, or imports what data names."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("fsmbot", "trainer", "bench", "tests")

MODULES = {
    "pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle",
    "builtins", "code", "codeop", "runpy", "imp", "copyreg",
}  # fmt: skip
"""Nothing of these is imported: they unpickle, or run text as code."""

BUILTINS = {"eval", "exec", "compile", "__import__"}

FUNCTIONS = {
    "torch.load", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter", "pandas.read_pickle",
    "pandas.eval", "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all",
    "yaml.full_load", "yaml.full_load_all", "yaml.UnsafeLoader", "yaml.Loader", "yaml.FullLoader",
    "yaml.YAMLObject", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
    "tempfile.mktemp",
}  # fmt: skip
"""Nothing of these is called or even named, whatever they were imported as."""

IMPORTERS = {
    "importlib.import_module", "importlib.reload", "importlib.util.spec_from_file_location",
    "importlib.util.module_from_spec", "importlib.machinery.SourceFileLoader", "pkgutil.resolve_name",
}  # fmt: skip
METHODS = {"load_module", "extractall", "read_pickle", "to_pickle"}

IMPORTING = {"fsmbot/registry.py", "bench/run.py", "bench/peers/worker.py"}
"""Where modules are imported by name: the handlers that a user names, and the subjects of the benchmarks."""


def dangers(source: str, *, imports: bool = False) -> list[str]:
    """Return what is dangerous in a source text, with its line; imports: whether it may import by name."""
    tree = ast.parse(source)
    names = dict(_imported(tree))
    found = [f"{line}: imports {name}" for line, name in _modules(tree) if name.split(".")[0] in MODULES]
    for node in ast.walk(tree):
        found += [f"{node.lineno}: {what}" for what in _of(node, names, imports)]  # type: ignore[attr-defined]
    return found


def _modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each name that an import gives, with what it stands for: np, numpy."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _of(node: ast.AST, names: dict[str, str], imports: bool) -> Iterator[str]:
    """Yield what is dangerous about one node of the tree."""
    dotted = _dotted(node, names)
    if dotted in FUNCTIONS or _is_read(node, BUILTINS):
        yield f"names {dotted}"
    if not imports and (dotted in IMPORTERS or dotted.endswith(".exec_module")):
        yield "imports a module by a name that is not in the source"
    if isinstance(node, ast.Attribute) and node.attr in METHODS:
        yield f"calls {node.attr}"
    if isinstance(node, ast.Call):
        options = {keyword.arg: keyword.value for keyword in node.keywords}
        yield from _of_options(options)
        yield from _of_load(_dotted(node.func, names), options.get("allow_pickle"))
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        yield from _of_options({key.value: value for key, value in pairs if isinstance(key, ast.Constant)})


def _is_read(node: ast.AST, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load)


def _of_load(called: str, allows: ast.expr | None) -> Iterator[str]:
    if called in ("numpy.load", "numpy.lib.format.read_array") and not _is(allows, False):
        yield "loads an array without allow_pickle=False"
    if called.startswith("gensim.") and called.endswith(".load"):
        yield "loads with gensim, which unpickles"


def _of_options(options: dict[Any, ast.expr]) -> Iterator[str]:
    """Yield options that may only be given as a plain False, or a plain True."""
    for name, safe in (("trust_remote_code", False), ("shell", False), ("weights_only", True)):
        value = options.get(name)
        if value is not None and not _is(value, safe):
            yield f"gives {name} as {ast.unparse(value)}"


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _dotted(node: ast.AST, names: dict[str, str]) -> str:
    """Return what a name stands for: np.load is numpy.load."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, names)}.{node.attr}"
    return "?"


@pytest.mark.promise(9, "nothing in the source unpickles, evaluates, runs a shell or trusts remote code")
def test_nothing_dangerous_is_in_the_source(reached: Callable[[str], None]) -> None:
    """In the bot, the trainer, the benchmarks and the tests alike."""
    files = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    files = [path for path in files if ".peers" not in path.parts]
    found = []
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        found += [f"{name}:{what}" for what in dangers(path.read_text(), imports=name in IMPORTING)]
    assert found == []
    reached(f"0 findings in {len(files)} files")


PLANTED = """
import pickle
import marshal as m
from shelve import open
import joblib
from dill import loads
import cloudpickle
x = eval("1")
exec("1")
run = eval
compile("1", "", "eval")
__import__("os")
import torch; torch.load("x")
from torch import load as read; read("x")
import torch as t; t.load("x", weights_only=False)
f(weights_only=flag)
import yaml; yaml.load("x", Loader=yaml.SafeLoader)
import yaml as y; y.unsafe_load("x")
from yaml import full_load; full_load("x")
import yaml; f(yaml.UnsafeLoader)
import numpy as np; np.load("x")
import numpy as np; np.load("x", allow_pickle=True)
from numpy import load; load("x", allow_pickle=flag)
from gensim.models import KeyedVectors; KeyedVectors.load("x")
import gensim; gensim.models.Word2Vec.load("x")
AutoModel.from_pretrained("x", trust_remote_code=True)
AutoModel.from_pretrained("x", trust_remote_code=options.trust)
f(**{"trust_remote_code": True})
import subprocess; subprocess.run("ls", shell=True)
import subprocess; subprocess.run("ls", shell=flag)
import subprocess as s; s.getoutput("ls")
import os; os.system("ls")
from os import popen; popen("ls")
import importlib; importlib.import_module(name)
from importlib import reload; reload(name)
from importlib import util; util.spec_from_file_location("x", "y")
spec.loader.exec_module(module)
import runpy
import builtins; builtins.eval("1")
import tempfile; tempfile.mktemp()
archive.extractall(".")
frame.to_pickle("x")
""".strip().splitlines()


@pytest.mark.parametrize("line", PLANTED)
def test_each_danger_would_be_found(line: str) -> None:
    """The test above is worth something: what it looks for, planted, is seen."""
    assert dangers(line)


@pytest.mark.parametrize(
    "line",
    [
        "import re; re.compile('x')",
        "import ast; ast.literal_eval('1')",
        "import numpy as np; np.load('x', allow_pickle=False)",
        "AutoModel.from_pretrained('x', trust_remote_code=False)",
        "tmp_path_factory.mktemp('x')",
        "import json; json.load(file)",
        "from importlib.util import find_spec",
        "import subprocess; subprocess.run(['ls'])",
    ],
)
def test_what_is_harmless_is_not_found(line: str) -> None:
    """Names that look alike are left in peace."""
    assert dangers(line) == []
