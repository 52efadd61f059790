"""A base model of the hub: fetched into the hub's own cache, and held against the sums the hub states.

The hub's client checks the size of what it fetched. In its cache a file bears the name that the hub gave
its content: the sha256 of large files, git's sha1 of small ones
(https://huggingface.co/docs/huggingface_hub/guides/manage-cache). So both can be computed again, also
years after, and a file that was damaged or altered, on the way or on the disk, is never read.
"""

from __future__ import annotations

import hashlib
import re
import urllib.error
import urllib.request
from pathlib import Path

from fsmbot.errors import DoctorError, first_line
from fsmbot.plainfile import plain_size

HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]


def hub_folder(base: str, revision: str) -> Path:
    """Return the hub's own cached folder of a model, fetched if need be: safetensors and text only.

    Raises DoctorError when the hub, the model, or safetensors in it cannot be had, or are not what the
    hub says they are.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError

    offline = constants.HF_HUB_OFFLINE or not is_reachable(constants.ENDPOINT)
    try:
        folder = Path(
            snapshot_download(
                base, revision=revision or None, allow_patterns=HUB_FILES, local_files_only=offline
            )
        )
    except GatedRepoError as error:
        raise DoctorError(
            f"the base model '{base}' is gated: accept its licence on its page of the hub, log in with "
            "`hf auth login`, and try again; or give a local folder"
        ) from error
    except Exception as error:  # the hub's client raises its own, httpx's and OSError
        why = "the hub cannot be reached" if offline else f"{type(error).__name__}: {first_line(error)}"
        raise DoctorError(
            f"the base model '{base}' cannot be fetched: {why}; check the name and the network, "
            "log in with `hf auth login` if it is gated, or give a local folder"
        ) from error
    if not any(folder.glob("*.safetensors")):
        raise DoctorError(f"the base model '{base}' has no .safetensors weights; choose one that has")
    check_sums(folder)
    return folder


def check_sums(folder: Path) -> None:
    """Hold every file of a snapshot, also in folders in it, against the sum that the hub stated; raises
    DoctorError."""
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            continue
        stated = path.resolve().name
        if re.fullmatch(r"[0-9a-f]{64}", stated):
            found = sha256(path)
        elif re.fullmatch(r"[0-9a-f]{40}", stated):
            found = _git_sha1(path)
        else:
            raise DoctorError(
                f"{path} cannot be checked, as the hub's cache does not say its sum; use a cache on a disk "
                "that knows symbolic links (HF_HOME), or give a local folder"
            )
        if found != stated:
            raise DoctorError(
                f"{path} is not the file that the hub has: its sum is {found}, and the hub states {stated}; "
                f"it was damaged or altered. Remove {path.resolve()}, and it is fetched again"
            )


def sha256(path: Path) -> str:
    """Return an ordinary file's sha256 in hexadecimal; raises OSError."""
    plain_size(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_sha1(path: Path) -> str:
    """Return the name that git gives a file's content."""
    total = hashlib.sha1(f"blob {plain_size(path)}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def is_reachable(url: str, seconds: float = 5.0) -> bool:
    """Say whether a server answers; the hub's client would retry for half a minute."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):
            return True
    except urllib.error.HTTPError:
        return True  # it answered, if only to refuse
    except (OSError, ValueError):
        return False
