"""The folder that the trainer writes and the bot reads: doctor.json beside an optional adapter."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from fsmbot.doctor import prompt
from fsmbot.doctor.adapter import ADAPTER, ADAPTER_CONFIG, check_adapter
from fsmbot.doctor.decode import Decoding
from fsmbot.errors import DoctorError
from fsmbot.plainfile import read_plain, why

CARD = "doctor.json"
MAX_CARD = 1 << 18
SHIPPED = Path(__file__).parent.parent / "assets" / "doctor"
"""The doctor that comes with the package."""


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What doctor.json says.

    base, revision: as for `load_base`; "" is the embedded default, or any revision.
    quantization: how the base was quantized when the adapter was trained.
    prompt_format, prompt_version: what `Prompt` was then; another one would confuse the adapter.
    system: the system prompt it was trained with.
    decoding: how to choose tokens by default.
    max_prompt_tokens: what history and question may take together.
    """

    base: Annotated[str, msgspec.Meta(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    revision: Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[\w./-]*$")] = ""
    quantization: Literal["nf4"] = "nf4"
    prompt_format: prompt.Format | Literal[""] = ""
    prompt_version: int = prompt.VERSION
    system: Annotated[str, msgspec.Meta(max_length=20_000)] = prompt.SYSTEM
    decoding: Decoding = Decoding()
    max_prompt_tokens: Annotated[int, msgspec.Meta(ge=64, le=131072)] = 1024


def read_card(folder: Path) -> Card:
    """Read an artefact folder's doctor.json; raises DoctorError with what is wrong in it."""
    path = folder / CARD
    try:
        card = msgspec.json.decode(read_plain(path, MAX_CARD), type=Card)
    except OSError as error:
        raise DoctorError(
            f"'{folder}' is not a doctor: {CARD} cannot be read ({why(error)}); "
            "give the folder that the trainer wrote"
        ) from error
    except msgspec.MsgspecError as error:
        raise DoctorError(f"{path}: {error}; have the trainer write it again") from error
    if card.prompt_version != prompt.VERSION:
        raise DoctorError(
            f"{path}: made for prompt version {card.prompt_version}, but this is version "
            f"{prompt.VERSION}; train again, or use the fsmbot it was made with"
        )
    return card


def write_card(folder: Path, card: Card) -> None:
    """Write doctor.json into an artefact folder."""
    text = msgspec.json.format(msgspec.json.encode(card), indent=2)
    (folder / CARD).write_bytes(text + b"\n")


def has_adapter(folder: Path) -> bool:
    """Say whether the folder has an adapter; one without safetensors is no adapter to us."""
    return (folder / ADAPTER).exists()


def check_artefact(folder: Path) -> None:
    """Look at all that a doctor's folder says of itself, without loading anything of it.

    Raises DoctorError that names the file and what is wrong in it.
    """
    read_card(folder)
    if has_adapter(folder):
        with contextlib.suppress(ImportError):  # without its packages no model is loaded either
            check_adapter(folder)
    elif (folder / ADAPTER_CONFIG).exists():
        raise DoctorError(
            f"'{folder}' has an {ADAPTER_CONFIG} and no {ADAPTER}; pickled weights are never read, so "
            "save the adapter as safetensors, or have the trainer write it again"
        )
