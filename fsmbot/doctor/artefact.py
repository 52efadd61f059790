"""The folder that the trainer writes and the bot reads: doctor.json beside an optional adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fsmbot.doctor import prompt
from fsmbot.doctor.decode import Decoding
from fsmbot.errors import DoctorError, first_line

CARD = "doctor.json"
ADAPTER = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
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

    base: str = ""
    revision: str = ""
    quantization: Literal["nf4"] = "nf4"
    prompt_format: prompt.Format | Literal[""] = ""
    prompt_version: int = prompt.VERSION
    system: str = prompt.SYSTEM
    decoding: Decoding = Decoding()
    max_prompt_tokens: Annotated[int, msgspec.Meta(ge=64, le=131072)] = 1024


def read_card(folder: Path) -> Card:
    """Read an artefact folder's doctor.json; raises DoctorError with what is wrong in it."""
    path = folder / CARD
    try:
        card = msgspec.json.decode(path.read_bytes(), type=Card)
    except OSError as error:
        raise DoctorError(
            f"'{folder}' is not a doctor: {CARD} cannot be read ({error.strerror}); "
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


def with_adapter(model: Any, folder: Path) -> Any:
    """Return the model with the folder's LoRA adapter on; raises DoctorError if it does not fit.

    The configuration is checked before peft sees it: some of its fields make peft import modules.
    """
    check_adapter_config(folder / ADAPTER_CONFIG)
    try:
        from peft import PeftModel
        from safetensors.torch import load_file

        if not all(tensor.isfinite().all() for tensor in load_file(folder / ADAPTER).values()):
            raise ValueError(f"{ADAPTER} holds values that are not finite")
        return PeftModel.from_pretrained(model, folder, local_files_only=True).eval()
    except ImportError:
        raise
    except Exception as error:  # safetensors, torch and peft raise their own kinds
        raise DoctorError(
            f"the adapter in '{folder}' cannot be used: {first_line(error)}; it is damaged or was trained "
            "for another base: have the trainer write it again"
        ) from error


def check_adapter_config(path: Path) -> dict[str, Any]:
    """Return what an adapter_config.json says; raises DoctorError if it is not plain LoRA."""
    try:
        config = json.loads(path.read_bytes())
        kind, rank = config["peft_type"], config["r"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DoctorError(f"{path} cannot be read: {error}; have the trainer write it again") from error
    unwanted = ("auto_mapping", "megatron_config", "modules_to_save", "layer_replication")
    found = [name for name in unwanted if config.get(name)]
    if kind != "LORA" or not isinstance(rank, int) or not 0 < rank <= 1024 or found:
        what = f"'{found[0]}'" if found else f"peft_type {kind!r} with r {rank!r}"
        raise DoctorError(f"{path}: expected a plain LoRA adapter of rank 1 to 1024, found {what}")
    return dict(config)
