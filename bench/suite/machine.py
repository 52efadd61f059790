"""Where and when figures were taken."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from suite.results import ROOT

SCRATCH = ROOT / "runs" / "bench"
"""Where files are written while measuring: on the disk of the checkout, not in memory."""


def stamp(command: Sequence[str], quick: bool) -> dict[str, Any]:
    """Return what is noted beside figures."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(command),
        "quick": quick,
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": machine(),
        "load": round(os.getloadavg()[0], 1),
    }


def machine() -> str:
    """Return processor, memory, system, and the file system of the scratch folder."""
    parts = [_processor(), f"{os.cpu_count()} CPUs", f"{_gigabytes()} GB", platform.system()]
    return ", ".join(filter(None, [*parts, _file_system()]))


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gigabytes() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)


def _file_system() -> str:
    """Return the kind of file system that the scratch folder lies on, "" where that is not told."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    mounts = [line.split()[1:3] for line in _lines("/proc/mounts")]
    around = [(len(point), kind) for point, kind in mounts if SCRATCH.is_relative_to(point)]
    return max(around, default=(0, ""))[1]


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _commit() -> str:
    """Return the commit of the checkout, with + where files are changed."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip()


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of packages of this environment; those not installed are left out."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
