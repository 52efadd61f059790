"""The model in training: a frozen 4-bit base, LoRA on its projections, and the loss on answers alone.

peft makes and saves the adapter; its forward pass is replaced by one that reads the same parameters
(`kernels.LoraLinear`), as peft's own copies every input to float32.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsmbot.doctor.adapter import ADAPTER, ADAPTER_CONFIG
from fsmbot.doctor.base import Base, load_base, load_base_tokenizer
from fsmbot.doctor.prompt import Example, Prompt
from fsmbot.doctor.quiet import quiet
from fsmbot.errors import ConfigError, DoctorError
from trainer.config import Config
from trainer.flat import IMPLEMENTATION, flat_attention, flatten, register
from trainer.kernels import make_functions
from trainer.llama import replace_forwards
from trainer.stopping import is_out_of_memory

CHUNK = 128
"""Answer tokens whose logits live at one time."""


class Learner:
    """A base with its adapter, and the one thing the loop needs of them: the summed answer loss.

    parameters: the adapter's, in float32. prefix: how many leading tokens all prompts share.
    """

    def __init__(self, config: Config, base: Base) -> None:
        import torch

        _refuse_unknown(base.model, config)
        self.base, self.config = base, config
        self.prompt = Prompt(base.tokenizer, config.data.system)
        self.prefix = len(self.prompt.prefix)
        torch.manual_seed(config.seed)  # peft draws the A matrices
        self.model = _with_lora(base.model, config)
        self.body, self.head = _body_and_head(base.model)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.device = self.parameters[0].device
        self.compute = _compute_type(base.model)
        linear, self._loss = make_functions()
        replace_forwards(self.model, linear, self.compute)
        _use_flat_attention(base.model)
        _carry_in_float32(base.model)
        if config.base.gradient_checkpointing:
            _recompute_activations(base.model)
        self.train()

    def train(self) -> None:
        """Set training mode."""
        self.model.train()

    def loss(self, examples: Sequence[Example]) -> Any:
        """Return the cross-entropy summed over the answer tokens of the examples, a scalar."""
        batch = flatten(examples, self.prefix, self.device)
        flat_attention.batch, flat_attention.compute = batch, self.compute
        hidden = self.body(
            input_ids=batch.ids[None], position_ids=batch.positions[None], use_cache=False
        ).last_hidden_state[0]
        return self._loss.apply(hidden[batch.where], self.head, batch.targets, CHUNK)

    def state(self) -> dict[str, Any]:
        """Return the adapter's parameters by name, as peft saves them."""
        from peft import get_peft_model_state_dict

        state = get_peft_model_state_dict(self.model, save_embedding_layers=False)  # or it asks the hub
        return {k: v.contiguous() for k, v in state.items()}

    def load_state(self, tensors: dict[str, Any]) -> None:
        """Take back what `state` gave; raises ConfigError if these are another adapter's tensors."""
        from peft import set_peft_model_state_dict

        own = {name: value.shape for name, value in self.state().items()}
        if own != {name: value.shape for name, value in tensors.items()}:
            raise ConfigError(
                "the adapter's tensors have other layers or another rank than its configuration says "
                "(adapter_config.json; in training lora.targets and lora.r); use what belongs together"
            )
        set_peft_model_state_dict(self.model, tensors)

    def save_adapter(self, folder: Path, dtype: str = "float32") -> None:
        """Write adapter_model.safetensors and adapter_config.json as peft reads them."""
        import torch
        from safetensors.torch import save_file

        state = {k: v.to(getattr(torch, dtype)) for k, v in self.state().items()}
        save_file(state, folder / ADAPTER, metadata={"format": "pt"})
        shown = copy.copy(self.model.peft_config["default"])
        shown.base_model_name_or_path = self.base.id  # not where it lies on this machine
        shown.inference_mode = True
        shown.save_pretrained(folder)
        shutil.copymode(folder / ADAPTER_CONFIG, folder / ADAPTER)  # safetensors lets only the owner read


def read_adapter(folder: Path) -> dict[str, Any]:
    """Return the tensors of a folder's adapter; raises ConfigError if they cannot be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(folder / ADAPTER)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{folder / ADAPTER} cannot be read: {error}; train again") from error


def load_tokenizer(config: Config) -> Any:
    """Load the base's tokenizer alone; raises ConfigError, MissingExtra."""
    with _named_in_config():
        return load_base_tokenizer(config.base.id, config.base.revision)


def load_learner(config: Config, *, device: str = "") -> Learner:
    """Load the base in 4 bits and put a fresh adapter on it; raises ConfigError, MissingExtra."""
    with _named_in_config():
        base = load_base(config.base.id, config.base.revision, device=device, compute=config.base.compute)
    return Learner(config, base)


@contextmanager
def _named_in_config() -> Iterator[None]:
    """A base that cannot be had, or does not fit, is a mistake in the configuration."""
    try:
        yield
    except DoctorError as error:
        raise ConfigError(f"base.id: {error}") from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ConfigError(
            "base.id: the base model does not fit into memory; close what else uses it, or choose a smaller "
            "base. `python -m trainer plan` says what is needed, and where"
        ) from error


def _with_lora(model: Any, config: Config) -> Any:
    """Return the model with trainable low-rank adapters in float32 on the target layers."""
    import torch
    from peft import LoraConfig, get_peft_model

    layers = {name for name, _ in _quantized(model)}
    missing = [target for target in config.lora.targets if target not in layers]
    if missing or not config.lora.targets:
        what = f"the base has no 4-bit layer '{missing[0]}'" if missing else "at least one layer is needed"
        raise ConfigError(f"lora.targets: {what}; it has {', '.join(sorted(layers))}")
    settings = LoraConfig(
        r=config.lora.r,
        lora_alpha=config.lora.alpha,  # type: ignore[arg-type]  # peft divides it, so a float will do
        target_modules=list(config.lora.targets),
        task_type="CAUSAL_LM",
        bias="none",
    )
    with quiet():
        wrapped = get_peft_model(model, settings)
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32)
    return wrapped


def _body_and_head(model: Any) -> tuple[Any, Any]:
    """Return the transformer without its head, and the head's weight (vocabulary, width)."""
    return model.get_decoder(), model.get_output_embeddings().weight.detach()


def _compute_type(model: Any) -> Any:
    return next(layer.compute_dtype for _, layer in _quantized(model))


def _quantized(model: Any) -> list[tuple[str, Any]]:
    """Return the 4-bit layers with the last part of their names."""
    from bitsandbytes.nn.modules import Linear4bit

    pairs = model.named_modules()
    return [(name.rpartition(".")[2], layer) for name, layer in pairs if isinstance(layer, Linear4bit)]


def _refuse_unknown(model: Any, config: Config) -> None:
    """Refuse a base that computes something that this loop leaves out; raises ConfigError."""
    unknown = ("final_logit_softcapping", "attn_logit_softcapping", "logit_scale", "logits_scaling")
    found = [name for name in unknown if getattr(model.config, name, None) not in (None, 0, 1)]
    window = getattr(model.config, "sliding_window", None)
    if window and getattr(model.config, "use_sliding_window", True) and window < config.data.max_tokens:
        found.append(f"a sliding window of {window} tokens")
    if getattr(model.get_output_embeddings(), "bias", None) is not None:
        found.append("a bias on its head")
    room = getattr(model.config, "max_position_embeddings", None)
    if room and room < config.data.max_tokens:
        raise ConfigError(
            f"data.max_tokens is {config.data.max_tokens}, but the base reads {room} at most; lower it"
        )
    if found:
        raise ConfigError(f"base.id: the base has {found[0]}, which is not supported; take a Llama-like one")


def _carry_in_float32(model: Any) -> None:
    """Keep what flows between the products in float32, by norms whose weights are.

    Rounded to bfloat16 after each layer, the loss strays by up to 0.1 from that of float32 within ten
    steps; carried in float32, with the products alone in bfloat16, by 0.005.
    """
    import torch

    for parameter in model.parameters():
        if parameter.dim() == 1 and not parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32)


def _recompute_activations(model: Any) -> None:
    """Turn gradient checkpointing on; transformers has renamed the method."""
    options = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):
        model.activation_checkpointing_enable(options)
    else:
        model.gradient_checkpointing_enable(options)


def _use_flat_attention(model: Any) -> None:
    register()
    model.config._attn_implementation = IMPLEMENTATION
