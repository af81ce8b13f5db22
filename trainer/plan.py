"""What a recipe will need, from its settings alone: peak memory of each device, time by phase.

No weight is made and no device touched: the model is built as fake tensors, its forward pass is run
on those, and what autograd would keep is counted, whatever the architecture. Times are a budget,
not a promise: they follow from the device's published peak rates and the stated `Assumptions`.

Bytes are bytes, rates are per second, memory is of one device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cascade.errors import ConfigError, UnknownNameError
from cascade.trainer.recipe import Recipe, Stage

if TYPE_CHECKING:
    from transformers import PretrainedConfig

__all__ = [
    "DEVICES",
    "Assumptions",
    "Device",
    "ModelFacts",
    "Plan",
    "StagePlan",
    "make_plan",
    "model_facts",
    "update_memory",
]

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_PROBE_TOKENS = 256
"""Tokens of the fake forward pass; what autograd keeps grows in proportion."""


@dataclass(frozen=True, slots=True)
class Device:
    """Published peak rates of a kind of device."""

    memory_bytes: float
    flops: float
    """Dense bfloat16 multiply-adds, two operations each."""
    bandwidth_bytes: float
    """Of its memory."""
    context_bytes: float = 1.2e9
    """What the runtime takes before the first tensor."""


DEVICES: Mapping[str, Device] = {
    "a100-40gb": Device(40e9, 312e12, 1.56e12),
    "a100-80gb": Device(80e9, 312e12, 2.04e12),
    "h100-80gb": Device(80e9, 989e12, 3.35e12),
    "h200": Device(141e9, 989e12, 4.8e12),
    "b200": Device(180e9, 2250e12, 8.0e12),
    "cpu": Device(16e9, 0.1e12, 20e9, context_bytes=0.35e9),
}


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What no setting says."""

    fill: float = 0.5
    """Mean length of a response, as a share of the most tokens it may have."""
    prompt_tokens: int = 256
    """Mean length of a prompt."""
    training_efficiency: float = 0.30
    """Share of the peak rate that forward and backward reach."""
    decoding_efficiency: float = 0.40
    """Share of the memory's rate that decoding reaches."""
    link_bytes: float = 20e9
    """Rate at which weights travel to the engine."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Sizes of a model that follow from its config."""

    parameters: int
    active_parameters: int
    """That a token goes through, output matrix included, input embeddings not."""
    layers: int
    hidden_size: int
    vocabulary: int
    largest_layer: int
    """Parameters of the largest repeated layer."""
    cache_bytes_per_token: int
    """Keys and values in 16-bit types, all layers."""
    attention_flops_per_token: float
    """Of one token's forward pass, for each token before it."""
    kept_floats_per_token: float
    """Numbers that autograd keeps of a token's forward pass, in the type of the computation."""
    kept_island_bytes_per_token: float
    """Bytes of float32 copies that it keeps where the computation is in 16 bits."""
    kept_other_bytes_per_token: float
    """Bytes that it keeps besides: indices, masks."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What one stage needs."""

    name: str
    memory: Mapping[str, Mapping[str, float]]
    """Phase -> part -> bytes of one device; a phase's parts are held at the same time."""
    seconds: Mapping[str, float]
    """Phase -> of one step."""
    steps: int

    @property
    def peak_bytes(self) -> float:
        """The largest phase."""
        return max(sum(parts.values()) for parts in self.memory.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe needs."""

    recipe: str
    model: ModelFacts
    device: str
    devices: int
    stages: tuple[StagePlan, ...]
    assumptions: Assumptions = field(default_factory=Assumptions)

    @property
    def fits(self) -> bool:
        """Whether every stage stays below the device's memory."""
        most = DEVICES[self.device].memory_bytes
        return all(stage.peak_bytes <= most for stage in self.stages)


def model_facts(config: PretrainedConfig) -> ModelFacts:
    """Measure a model that is never made.

    Raises:
        ConfigError: transformers has no causal language model for the config.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from transformers import AutoModelForCausalLM

    text = config.get_text_config()
    with FakeTensorMode(allow_non_fake_inputs=True):
        try:
            # grouped_mm has no fake kernel for float32, so the probe is in bfloat16.
            model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        except ValueError as error:
            raise ConfigError(f"no causal language model for this config: {error}") from error
        floats, islands, others = _kept(model)
        sizes = {name: p.numel() for name, p in model.named_parameters()}
        shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
        tied = bool(getattr(text, "tie_word_embeddings", False))
    heads = text.num_attention_heads
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // heads
    attention_layers = _attention_layers(text)
    embedding = model.get_input_embeddings().weight.numel()
    return ModelFacts(
        parameters=sum(sizes.values()),
        active_parameters=_active(sizes, shapes, text) - (0 if tied else embedding),
        layers=text.num_hidden_layers,
        hidden_size=text.hidden_size,
        vocabulary=text.vocab_size,
        largest_layer=_largest_layer(sizes),
        cache_bytes_per_token=4 * attention_layers * text.num_key_value_heads * head_dim,
        attention_flops_per_token=4.0 * attention_layers * heads * head_dim,
        kept_floats_per_token=floats / _PROBE_TOKENS,
        kept_island_bytes_per_token=islands / _PROBE_TOKENS,
        kept_other_bytes_per_token=others / _PROBE_TOKENS,
    )


def _kept(model: Any) -> tuple[int, int, int]:
    """Count what autograd keeps of a forward pass: 16-bit numbers, bytes of float32, all else."""
    import torch

    own = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    ids_1_T = torch.zeros((1, _PROBE_TOKENS), dtype=torch.long)
    positions_1_T = torch.arange(_PROBE_TOKENS)[None]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.base_model(input_ids=ids_1_T, position_ids=positions_1_T, use_cache=False)
    floats = islands = others = 0
    for storage, tensor in kept.items():
        size = 0 if storage in own else tensor.untyped_storage().nbytes()
        if tensor.dtype == torch.bfloat16:
            floats += size // 2
        elif tensor.dtype == torch.float32:
            islands += size
        else:
            others += size
    return floats, islands, others


def _attention_layers(text: Any) -> int:
    """Layers that keep keys and values."""
    types = getattr(text, "layer_types", None) or getattr(text, "layers_block_type", None)
    if types is None:
        return int(text.num_hidden_layers)
    return sum("attention" in kind and "linear" not in kind for kind in types)


def _active(sizes: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]], text: Any) -> int:
    """Parameters that one token goes through: of E experts only the K it is sent to."""
    names = ("num_experts", "num_local_experts", "n_routed_experts")
    experts = next((int(n) for name in names if (n := getattr(text, name, None))), 0)
    chosen = int(getattr(text, "num_experts_per_tok", 0) or 0)
    total = 0
    for name, size in sizes.items():
        routed = experts and len(shapes[name]) == 3 and shapes[name][0] == experts
        total += size * chosen // experts if routed else size
    return total


def _largest_layer(sizes: Mapping[str, int]) -> int:
    """Parameters of the largest member of a module list."""
    layers: dict[str, int] = {}
    for name, size in sizes.items():
        head, found, rest = name.partition(".layers.")
        if found:
            key = f"{head}.{rest.split('.')[0]}"
            layers[key] = layers.get(key, 0) + size
    return max(layers.values(), default=0)


def update_memory(
    facts: ModelFacts,
    *,
    tokens: int,
    sampled_tokens: int,
    dtype: str,
    compute_dtype: str | None = None,
    checkpointing: bool = False,
    shards: int = 1,
    chunk_bytes: float = 256 << 20,
) -> dict[str, float]:
    """Return the parts of the peak of one optimizer step, in bytes of one device.

    Args:
        facts: of the model.
        tokens: of a micro-batch, padding included.
        sampled_tokens: those of them whose log-probability is wanted.
        dtype: of weights, gradients and AdamW's two moments.
        compute_dtype: of the computation; None: as `dtype`.
        checkpointing: only the inputs of layers are kept, one layer is computed again at a time.
        shards: devices that share weights, gradients and moments (FSDP2).
        chunk_bytes: of one chunk of logits.

    Raises:
        UnknownNameError: an unknown type.
    """
    for name in (dtype, compute_dtype or dtype):
        if name not in _BYTES:
            raise UnknownNameError.near("dtype", name, _BYTES)
    width, compute = _BYTES[dtype], _BYTES[compute_dtype or dtype]
    weights = facts.parameters * width / shards
    per_token = facts.kept_floats_per_token * compute + facts.kept_other_bytes_per_token
    if compute < 4:
        per_token += facts.kept_island_bytes_per_token
    of_layer = per_token / facts.layers
    kept = per_token * tokens
    if checkpointing:
        kept = (facts.layers * facts.hidden_size * compute + of_layer) * tokens
    head_gradient = facts.vocabulary * facts.hidden_size * 4.0
    parts = {
        "weights": weights,
        "gradients": weights,
        "optimizer": 2 * weights,
        "activations": kept,
        # While a layer runs backwards, gradients stand beside what was kept of it. Of one that runs
        # forward again, most is still to come then: fitted to measured updates.
        "backward": of_layer * tokens * (0.5 if checkpointing else 1.0),
        "logits": min(chunk_bytes, sampled_tokens * facts.vocabulary * 4.0) * 2 + head_gradient,
    }
    if shards > 1:
        # The layer that runs and the one fetched ahead, whole; and one layer's whole gradient.
        parts["unsharded"] = facts.largest_layer * (2.0 * compute + 4.0)
    return parts


def make_plan(
    recipe: Recipe,
    *,
    device: str = "h100-80gb",
    devices: int = 1,
    assumptions: Assumptions | None = None,
) -> Plan:
    """Predict memory and time of each stage of `recipe`.

    Args:
        recipe: only its settings and the model's config are read.
        device: a name among `DEVICES`.
        devices: how many train together; each holds a shard.
        assumptions: what no setting says.

    Raises:
        UnknownNameError: no such device.
        ConfigError: the model's config cannot be read or planned.
    """
    if device not in DEVICES:
        raise UnknownNameError.near("device", device, DEVICES)
    if devices < 1:
        raise ConfigError(f"devices must be 1 or more, got {devices!r}")
    assumed = assumptions or Assumptions()
    facts = model_facts(recipe.model.config())
    stages = tuple(
        _stage_plan(stage, recipe, facts, device, devices, assumed) for stage in recipe.plan()
    )
    return Plan(recipe.name, facts, device, devices, stages, assumed)


@dataclass(frozen=True, slots=True)
class _Load:
    """What a stage does in a step, read from the fields that it has."""

    sequences: int
    sequence_tokens: int
    """Mean tokens of a sequence, prompt included."""
    longest: int
    sampled: int
    """Mean sampled tokens of a sequence; 0 where nothing is sampled."""
    micro_batch_tokens: int
    checkpointing: bool
    compute_dtype: str | None

    @property
    def tokens(self) -> int:
        """Of a step."""
        return self.sequences * self.sequence_tokens


def _load(stage: Any, assumed: Assumptions) -> _Load:
    policy = getattr(stage, "policy", None)
    checkpointing = bool(getattr(policy, "activation_checkpointing", False))
    dtype = getattr(policy, "dtype", None)
    if hasattr(stage, "sampling"):
        sequences = getattr(stage, "groups", 1) * getattr(stage, "group_size", 1)
        most = stage.sampling.max_tokens
        sampled = max(1, round(most * assumed.fill))
        longest = most + assumed.prompt_tokens
        mean = sampled + assumed.prompt_tokens
        micro = max(longest, int(getattr(policy, "micro_batch_tokens", longest)))
        return _Load(sequences, mean, longest, sampled, micro, checkpointing, dtype)
    if hasattr(stage, "row_tokens") and hasattr(stage, "batch_rows"):
        rows, width = int(stage.batch_rows), int(stage.row_tokens)
        return _Load(rows, width, width, 0, rows * width, checkpointing, dtype)
    raise ConfigError(
        f"cannot plan stage {stage.name!r}: it has neither `sampling` nor `row_tokens`"
    )


def _stage_plan(
    stage: Stage, recipe: Recipe, facts: ModelFacts, device: str, devices: int, assumed: Assumptions
) -> StagePlan:
    load = _load(stage, assumed)
    card = DEVICES[device]
    tokens = min(load.micro_batch_tokens, math.ceil(load.tokens / devices))
    tokens = max(tokens, load.longest)
    update = update_memory(
        facts,
        tokens=tokens,
        sampled_tokens=tokens if not load.sampled else min(tokens, load.sampled * load.sequences),
        dtype=recipe.model.dtype,
        compute_dtype=load.compute_dtype,
        checkpointing=load.checkpointing,
        shards=devices,
        chunk_bytes=8 << 20 if device == "cpu" else 256 << 20,
    )
    context = {"runtime": card.context_bytes}
    memory: dict[str, Mapping[str, float]] = {"update": {**update, **context}}
    seconds = {"update": _update_seconds(facts, load, card, devices, assumed)}
    if load.sampled:
        held = {name: update[name] for name in ("weights", "optimizer")}
        engine = getattr(stage, "engine", None)
        memory["rollout"] = {**held, **_engine_memory(engine, facts, load, card), **context}
        seconds["rollout"] = _rollout_seconds(facts, load, card, devices, engine, assumed)
        seconds["sync"] = facts.parameters * 2 / assumed.link_bytes
    teacher: Any = getattr(stage, "teacher", None)
    if teacher is not None:
        size = facts.parameters * _BYTES[teacher.dtype]
        on_device = teacher.device.startswith("cpu") == (device == "cpu")
        seat = {"teacher": float(size if on_device else 0)}  # whole on each device
        held = {name: update[name] for name in ("weights", "optimizer")}
        if not teacher.offload:
            memory = {phase: {**parts, **seat} for phase, parts in memory.items()}
        memory["teachers"] = {**held, **seat, **context}
        loads = len(stage.bindings) - (not teacher.offload)  # type: ignore[attr-defined]
        seconds["teachers"] = _forward_seconds(facts, load, card, devices, assumed)
        seconds["teachers"] += loads * size / assumed.link_bytes
    return StagePlan(stage.name, memory, seconds, stage.steps)


def _forward_seconds(
    facts: ModelFacts, load: _Load, card: Device, devices: int, assumed: Assumptions
) -> float:
    attention = facts.attention_flops_per_token * load.sequence_tokens / 2
    flops = load.tokens * (2.0 * facts.active_parameters + attention)
    return flops / (card.flops * assumed.training_efficiency * devices)


def _update_seconds(
    facts: ModelFacts, load: _Load, card: Device, devices: int, assumed: Assumptions
) -> float:
    """Forward once and backward twice its work; once more forward where it is recomputed."""
    passes = 4 if load.checkpointing else 3
    return passes * _forward_seconds(facts, load, card, devices, assumed)


def _engine_memory(engine: Any, facts: ModelFacts, load: _Load, card: Device) -> dict[str, float]:
    """What the engine holds on the training device while it samples."""
    share = getattr(engine, "gpu_memory_utilization", None)
    if share is not None:
        return {"vllm": share * card.memory_bytes}
    if hasattr(engine, "url"):
        return {}
    batch = min(int(getattr(engine, "max_batch", load.sequences)), load.sequences)
    return {"cache": float(batch * load.longest * facts.cache_bytes_per_token)}


def _rollout_seconds(
    facts: ModelFacts, load: _Load, card: Device, devices: int, engine: Any, assumed: Assumptions
) -> float:
    """Decoding reads the weights that a batch touches and its caches once a token."""
    own = math.ceil(load.sequences / devices)
    batch = min(int(getattr(engine, "max_batch", own)), own)
    waves = math.ceil(own / batch)
    touched = min(1.0, batch * facts.active_parameters / facts.parameters)
    weights = 2.0 * facts.parameters * max(touched, facts.active_parameters / facts.parameters)
    caches = batch * (load.sequence_tokens - load.sampled / 2) * facts.cache_bytes_per_token
    by_memory = (weights + caches) / (card.bandwidth_bytes * assumed.decoding_efficiency)
    by_compute = 2.0 * facts.active_parameters * batch / (card.flops * assumed.decoding_efficiency)
    return waves * load.sampled * max(by_memory, by_compute)
