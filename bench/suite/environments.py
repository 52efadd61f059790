"""The environments of the peers, each made of one file of bench/environments/.

Peers are never installed beside us: some need versions that others, or we, cannot have.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent.parent
PEERS = HERE / ".peers"


class NotInstalled(Exception):
    """A peer's environment cannot be made; says why."""


def requirements(name: str) -> Path:
    """Return the file that pins what an environment holds."""
    return HERE / "environments" / f"{name}.txt"


@cache
def interpreter(name: str) -> str:
    """Return the Python of an environment, which is made unless it is up to date; "" is our own.

    Raises NotInstalled with pip's last words.
    """
    if not name:
        return sys.executable
    folder, wanted = PEERS / name, requirements(name).read_text()
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if not (stamp.exists() and stamp.read_text() == wanted):
        say(f"installing {' '.join(wanted.split())}")
        _call([sys.executable, "-m", "venv", "--clear", str(folder)])
        _call([str(python), "-m", "pip", *QUIETLY, "-r", str(requirements(name))])
        stamp.write_text(wanted)
    return str(python)


@cache
def beside_ours(name: str) -> Path:
    """Return a folder with a peer alone, which shares all that it needs with our environment.

    What is compiled for it has bench/environments/<name>.h, if there is one, before all its C++.
    Raises NotInstalled with pip's last words.
    """
    folder, wanted = PEERS / name, requirements(name).read_text()
    header = requirements(name).with_suffix(".h")
    made = wanted + (header.read_text() if header.exists() else "")
    stamp = folder / "installed.txt"
    if not (stamp.exists() and stamp.read_text() == made):
        say(f"installing {' '.join(wanted.split())}")
        # pip's cache may hold a wheel that was built without the header, or for another CPU
        target = ["--no-cache-dir", "--no-deps", "--upgrade", "--target", str(folder)]
        _call([sys.executable, "-m", "pip", *QUIETLY, *target, "-r", str(requirements(name))], header)
        stamp.write_text(made)
    return folder


QUIETLY = ("install", "--quiet", "--disable-pip-version-check")


def _call(command: list[str], header: Path | None = None) -> str:
    variables = dict(os.environ)
    if header and header.exists():
        variables["CXXFLAGS"] = f'{variables.get("CXXFLAGS", "")} -include "{header}"'
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    if done.returncode:
        raise NotInstalled(last_words(done.stderr))
    return done.stdout


def last_words(stderr: str) -> str:
    """Return the last line of an error that is none of pip's warnings."""
    lines = [line for line in stderr.strip().splitlines() if not line.startswith("WARNING")]
    return lines[-1].strip() if lines else "no reason given"


def pinned(name: str) -> dict[str, str]:
    """Return the version of what an environment's file names first."""
    package, _, version = requirements(name).read_text().split()[0].partition("==")
    return {package: version}


def installed(name: str) -> dict[str, str]:
    """Return the versions of what the environment's file names; none where it cannot be made."""
    try:
        listed = _call([interpreter(name), "-m", "pip", "list", "--format", "json"])
    except NotInstalled:
        return {}
    named = {line.partition("==")[0].partition("[")[0].lower() for line in requirements(name).open()}
    return {p["name"]: p["version"] for p in json.loads(listed) if p["name"].lower() in named}


def say(line: str) -> None:
    """Show progress beside the tables."""
    print(f"  {line}", file=sys.stderr, flush=True)
