"""Weight sync with an audit: an engine that samples from other weights stops the run.

After each sync the engine samples a few probe texts, and the trainer's own model scores the same
tokens. The log-probabilities must agree: engines have kept stale expert weights after a reload
that reported success. Where the engine lets us look inside, the layers that differ are named.

Shapes: T tokens of a probe, D width of the residual stream.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol

from cascade.envs.engines import Engine
from cascade.errors import ContractError, EngineError, TrainingError
from cascade.trainer.settings import Range, check_fields
from cascade.types import Completion, Prompt, SamplingParams, Trajectory

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "Audit",
    "BlockRecord",
    "Episode",
    "Sampler",
    "Sampling",
    "different_blocks",
    "recorded_blocks",
    "verify_sync",
]

Episode = Callable[[Engine], Awaitable[Trajectory]]
"""A rollout that still needs its engine."""


class BlockRecord(NamedTuple):
    """What a block of the engine's model got and gave for one text, float32 on the CPU."""

    input_T_D: torch.Tensor
    output_T_D: torch.Tensor


class Sampler(Protocol):
    """An engine that follows the weights of a model that is being trained."""

    @property
    def engine(self) -> Engine:
        """Samples; its completions carry the version of the weights."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether `run` gives the same samples to the bit for the same episodes and weights."""
        ...

    async def run(self, episodes: Sequence[Episode], concurrency: int | None) -> list[Trajectory]:
        """Run episodes, at most `concurrency` of them at once, and return them in order."""
        ...

    async def sync(self, version: str) -> None:
        """Give the engine the model's present weights, under the name `version`.

        Raises:
            EngineError: the engine did not take them.
        """
        ...

    async def rest(self) -> None:
        """Give memory back until the next `sync`, while the model is trained."""
        ...

    async def reopen(self) -> None:
        """Replace an engine that failed; it needs a `sync` before it samples.

        Raises:
            EngineError: it cannot be had again.
        """
        ...

    async def blocks(self, token_ids: Sequence[int]) -> Mapping[str, BlockRecord] | None:
        """Return what each block of the engine's model computes for a text; None if hidden."""
        ...

    async def aclose(self) -> None:
        """Release the engine."""
        ...


class Sampling(Protocol):
    """A frozen dataclass that says which engine a stage samples from."""

    async def open(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, scratch: Any
    ) -> Sampler:
        """Start the engine for `model`; `scratch` is a folder for files that it needs."""
        ...


@dataclass(frozen=True, slots=True)
class Audit:
    """How far engine and trainer may differ after a sync, in nats on single sampled tokens."""

    max_abs: Annotated[float, Range(above=0)] | None = None
    """Largest difference; None: 1e-4 in float32, 2 in 16-bit types, where a router that tips to
    another expert moves single tokens by tenths."""
    mean_abs: Annotated[float, Range(above=0)] | None = None
    """Mean difference; None: 1e-4 in float32, 0.05 in 16-bit types."""
    prompts: Annotated[int, Range(1)] = 4
    """Probe texts; they begin like the stage's first tasks."""
    tokens: Annotated[int, Range(1)] = 16
    """Tokens sampled for each."""

    def __post_init__(self) -> None:
        """Refuse limits that nothing satisfies."""
        check_fields(self)

    def limits(self, dtype: torch.dtype) -> tuple[float, float]:
        """Return the limits of the largest and of the mean difference for a model of `dtype`."""
        import torch

        largest, mean = (1e-4, 1e-4) if dtype in (torch.float32, torch.float64) else (2.0, 0.05)
        return self.max_abs or largest, self.mean_abs or mean


async def verify_sync(
    sampler: Sampler,
    model: PreTrainedModel,
    probes: Sequence[Prompt],
    params: SamplingParams,
    audit: Audit,
    version: str,
) -> dict[str, float]:
    """Compare the engine's log-probabilities with the trainer's on fresh samples.

    Args:
        sampler: just synced to `version`.
        model: the trainer's.
        probes: prompts; the first `audit.prompts` are used.
        params: of the stage; only its options for the chat template matter here.
        audit: the limits.
        version: of the weights, for the message.

    Returns:
        "sync/max_abs" and "sync/mean_abs", in nats.

    Raises:
        TrainingError: the difference is over a limit; names the layers that differ, where the
            engine lets us look.
        ContractError: the engine gives no token ids or log-probabilities.
        EngineError: the engine could not sample.
    """
    completions = await sampler.engine.sample(
        list(probes[: audit.prompts]), _probe_params(params, audit.tokens)
    )
    differences = [_differences(model, completion) for completion in completions]
    largest = max(max(d) for d in differences)
    mean = sum(map(sum, differences)) / sum(map(len, differences))
    most, most_mean = audit.limits(model.dtype)
    if largest <= most and mean <= most_mean:
        return {"sync/max_abs": largest, "sync/mean_abs": mean}
    over = sum(d > most for probe in differences for d in probe)
    worst = max(range(len(differences)), key=lambda i: max(differences[i]))
    where = await _whereabouts(sampler, model, completions[worst], worst)
    raise TrainingError(
        f"after the sync to weights {version!r} the engine's log-probabilities differ from the "
        f"trainer's by up to {largest:.2g} nats (limit {most:.2g}; mean {mean:.2g}, limit "
        f"{most_mean:.2g}), {over} of {sum(map(len, differences))} probed tokens are over the "
        f"first limit: the engine samples from other weights. {where}"
    )


def _probe_params(params: SamplingParams, tokens: int) -> SamplingParams:
    return replace(
        params, temperature=1.0, top_p=1.0, top_k=0, max_tokens=tokens, stop=(), seed=0,
        logprobs=True, extra={**params.extra, "ignore_eos": True},
    )  # fmt: skip


def _differences(model: PreTrainedModel, completion: Completion) -> list[float]:
    """Absolute difference at each sampled token, in nats."""
    import torch

    prompt, taken, told = (
        completion.prompt_token_ids, completion.token_ids, completion.logprobs,
    )  # fmt: skip
    if prompt is None or not taken or told is None:
        raise ContractError(
            "the engine returns no token ids or log-probabilities, so its weights cannot be "
            "checked: use the torch or vllm engine, or a vLLM server"
        )
    ids_1_T = torch.tensor([[*prompt, *taken]], device=model.device)
    with torch.no_grad():
        logits_N_V = model(
            input_ids=ids_1_T, use_cache=False, logits_to_keep=len(taken) + 1
        ).logits[0, :-1]
    logprob_N_V = logits_N_V.float().log_softmax(-1)
    own_N = logprob_N_V.gather(-1, ids_1_T[0, -len(taken) :, None])[:, 0].cpu()
    difference_N = (own_N - torch.tensor(told)).abs().nan_to_num(nan=float("inf"))
    return [float(d) for d in difference_N]


async def _whereabouts(
    sampler: Sampler, model: PreTrainedModel, completion: Completion, probe: int
) -> str:
    """Say which layers differ, or at least at which positions."""
    ids = [*(completion.prompt_token_ids or ()), *(completion.token_ids or ())]
    with contextlib.suppress(EngineError):
        if records := await sampler.blocks(ids):
            names = different_blocks(model, ids, records)
            if names:
                return f"Layers that differ: {', '.join(names)}"
            return (
                f"All {len(records)} attention and expert blocks agree: look at the embeddings, "
                "the last norm and the output matrix"
            )
    differences = _differences(model, completion)
    first = next((i for i, d in enumerate(differences) if d == max(differences)), 0)
    return (
        "The engine does not show its layers; the largest difference is at sampled token "
        f"{first} of probe {probe} (position {len(ids) - len(differences) + first})"
    )


_BLOCK = re.compile(r"\.layers\.\d+\.(self_attn|mlp|mixer|block_sparse_moe|feed_forward)$")


def recorded_blocks(model: Any) -> tuple[dict[str, BlockRecord], Callable[[], None]]:
    """Record what attention and expert blocks of an engine's model get and give.

    Args:
        model: of vLLM or transformers; its blocks are found by their names.

    Returns:
        A mapping that fills at the next forward pass, and a function that stops recording.
    """
    records: dict[str, BlockRecord] = {}
    handles = [
        module.register_forward_hook(_recorder(name, records), with_kwargs=True)
        for name, module in model.named_modules()
        if _BLOCK.search(name)
    ]

    def stop() -> None:
        for handle in handles:
            handle.remove()

    return records, stop


def _recorder(name: str, records: dict[str, BlockRecord]) -> Callable[..., None]:
    def hook(module: Any, args: Any, kwargs: Any, output: Any) -> None:
        given = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        records.setdefault(name, BlockRecord(_rows(given), _rows(_first(output))))

    return hook


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


def _rows(hidden: torch.Tensor) -> torch.Tensor:
    """[..., D] -> [T, D], a copy in float32 on the CPU."""
    return hidden.detach().reshape(-1, hidden.shape[-1]).float().cpu().clone()


def different_blocks(
    model: PreTrainedModel, token_ids: Sequence[int], records: Mapping[str, BlockRecord]
) -> list[str]:
    """Name the blocks that, given what the engine's block got, give something else.

    Each block is judged on the engine's own input, so a difference in one layer does not show up
    in those above it.
    """
    import torch

    tolerance = 1e-3 if model.dtype in (torch.float32, torch.float64) else 0.1
    different = []
    with torch.no_grad(), _calls_of_blocks(model) as calls:
        model(input_ids=torch.tensor([list(token_ids)], device=model.device), use_cache=False)
        for name, (module, args, kwargs) in list(calls.items()):
            record = records.get(name)
            if record is None or len(record.input_T_D) != len(token_ids):
                continue
            given = record.input_T_D.to(model.device, model.dtype)[None]
            if "hidden_states" in kwargs:
                output = module.forward(*args, **{**kwargs, "hidden_states": given})
            else:
                output = module.forward(given, *args[1:], **kwargs)
            own_T_D = _rows(_first(output))
            scale = float(own_T_D.abs().max()) or 1.0
            off = float((own_T_D - record.output_T_D).abs().max()) / scale
            if not off <= tolerance:
                different.append(f"{name} (off by {off:.0%})")
    return different


@contextlib.contextmanager
def _calls_of_blocks(
    model: PreTrainedModel,
) -> Iterator[dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]]]:
    """Collect how the model calls its blocks: module, arguments, keyword arguments."""
    calls: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {}

    def remember(name: str) -> Callable[..., None]:
        def hook(module: Any, args: Any, kwargs: Any) -> None:
            calls[name] = (module, args, kwargs)

        return hook

    handles = [
        module.register_forward_pre_hook(remember(name), with_kwargs=True)
        for name, module in model.named_modules()
        if _BLOCK.search(name)
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
