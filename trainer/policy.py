"""The model being trained: scores samples, and turns a batch and a loss into one update.

Shapes: N sampled tokens of a micro-batch, T tokens of a sample.
"""

from __future__ import annotations

import contextlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from torch.distributed.fsdp import register_fsdp_forward_method
from transformers.modeling_layers import GradientCheckpointingLayer

from cascade.errors import ConfigError, TrainingError
from cascade.trainer import moe
from cascade.trainer.batch import MicroBatch, TrainSample, column, totals_of
from cascade.trainer.distributed import Ranks, shard, value_of
from cascade.trainer.logprobs import TokenLogprobs
from cascade.trainer.optimizer import OptimizerConfig, adamw, learning_rate, load_moments, moments
from cascade.trainer.replay import RouteCounts
from cascade.trainer.samples import Sample
from cascade.trainer.scorer import Scorer
from cascade.trainer.settings import Range, check_fields
from cascade.trainer.tokens import Loss, Tokens, Totals

if TYPE_CHECKING:
    import numpy.typing as npt
    from transformers import PreTrainedModel

    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]

__all__ = ["Policy", "PolicyConfig", "TrainSample", "shard_scorer"]


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """How the policy runs."""

    row_tokens: Annotated[int, Range(2)] | None = None
    """Samples are packed into rows of this many tokens; None: of the longest sample of a batch."""
    micro_batch_tokens: Annotated[int, Range(1)] = 16_384
    """Most tokens of one forward and backward pass, padding included; bounds memory."""
    temperature: Annotated[float, Range(above=0)] = 1.0
    """Of the sampling distribution that is trained."""
    activation_checkpointing: bool = False
    """Keep only the inputs of layers and compute the rest again in the backward pass."""
    freeze_routers: bool = False
    """Take the routers' weights out of training, as Nemotron 3 Nano does."""
    expert_bias_rate: Annotated[float, Range(0)] = 0.0
    """Step of the auxiliary-loss-free update of expert biases after each batch; 0 leaves them."""
    replay_routes: bool = True
    """Train through the experts that the sampler recorded, where it did (R3)."""
    dtype: Literal["float32", "bfloat16"] | None = None
    """Of the computation; None: as the weights. Weights in float32 and computation in bfloat16
    keep float32 masters; that needs `Ranks` from `join`, also for one process."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        check_fields(self)


class Policy:
    """A causal language model with its optimizer.

    It never draws a random number: the same state and batch give the same weights to the bit on
    one machine with one number of threads.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        config: PolicyConfig,
        optimizer: OptimizerConfig,
        ranks: Ranks | None = None,
    ) -> None:
        """Prepare `model`, which is trained in place and stays in evaluation mode (no dropout).

        Args:
            model: a causal language model; the same weights on every rank.
            config: how it runs.
            optimizer: how it learns.
            ranks: from `distributed.join`: the model is sharded over them, and every method must
                be called on every rank, with the same arguments. None: this process alone.

        Raises:
            ConfigError: the model changes logits after its output matrix, has no activation
                checkpoints, or no expert biases, where the config asks for them.
        """
        self.model = model.eval()
        self.config = config
        self.optimizer_config = optimizer
        self.step = 0
        """Updates so far."""
        self._scorer = Scorer(
            model,
            row_tokens=config.row_tokens,
            micro_batch_tokens=config.micro_batch_tokens,
            temperature=config.temperature,
            replay=config.replay_routes,
            ranks=ranks,
        )
        self._ranks = self._scorer.ranks
        self._routers = self._scorer.routers
        if config.expert_bias_rate:
            moe.require_expert_biases(self._routers)
        if config.freeze_routers:
            moe.freeze(self._routers)
        self._checkpointed = _checkpointed_layers(model) if config.activation_checkpointing else []
        shard_scorer(self._scorer, model, config, ranks)
        self._optimizer = adamw(
            model,
            betas=optimizer.betas,
            weight_decay=optimizer.weight_decay,
            epsilon=optimizer.epsilon,
        )

    @property
    def packed(self) -> bool:
        """Whether samples share rows: the start-up test found that the model keeps them apart."""
        return self._scorer.packed

    def logprobs(self, samples: Sequence[Sample]) -> list[FloatArray]:
        """Return the log-probabilities [T] of each sample, in nats; 0 where not sampled."""
        return self._scorer.logprobs(samples)

    def likeliest(self, samples: Sequence[Sample], count: int) -> list[IntArray]:
        """Return the ids [T, C] of the `count` likeliest tokens at each sampled position."""
        return self._scorer.likeliest(samples, count)

    def update(self, batch: Sequence[TrainSample], loss: Loss) -> dict[str, float]:
        """Take one optimizer step on the loss of the whole batch.

        Returns:
            loss, grad_norm (before clipping), learning_rate, entropy (nats per sampled token),
            tokens, mismatch/* (sampler against trainer), router/* (MoE models), and what the loss
            reports.

        Raises:
            ConfigError: the batch is empty, or a sample is longer than a row.
            TrainingError: the gradient is not finite. The weights are as before.
        """
        # What an update that failed half-way left behind must not enter this one.
        self._optimizer.zero_grad(set_to_none=True)
        self._scorer.taps.take()
        metrics = self.accumulate(batch, loss)
        with self._ranks.phase("optimizer step"):
            metrics |= self._apply()
            metrics |= self._router_metrics()
        self.step += 1
        return metrics

    def accumulate(self, batch: Sequence[TrainSample], loss: Loss) -> dict[str, float]:
        """Add the gradient of the whole batch's loss to the parameters' gradients.

        Returns:
            What `update` returns but for grad_norm, learning_rate and router/*.

        Raises:
            ConfigError: the batch is empty, or a sample is longer than a row.
        """
        samples = [item.sample for item in batch]
        totals = totals_of(samples, self._scorer.device)
        if not totals.num_tokens:
            raise ConfigError("an update needs at least one sampled token, got none")
        metrics = _Metrics()
        with self._ranks.phase("forward and backward"), self._training():
            for micro, counts in self._ranks.share(self._scorer.micro_batches(samples)):
                self._backward(batch, micro, loss, totals, metrics if counts else None)
            summed = self._ranks.sums(metrics.sums)
            largest = max(self._ranks.gathered(metrics.max_abs))
        return {**summed, "mismatch/max_abs": largest, "tokens": float(totals.num_tokens)}

    def _backward(
        self,
        batch: Sequence[TrainSample],
        micro: MicroBatch,
        loss: Loss,
        totals: Totals,
        metrics: _Metrics | None,
    ) -> None:
        """Add a micro-batch's gradient; one of 0 without `metrics`, to keep ranks in step."""
        with self._scorer.routed(micro, counts=metrics is not None):
            out = self._scorer.run(micro, _wanted_ids(batch, micro))
            tokens = self._tokens(batch, micro, out, totals)
            value = loss(tokens, totals)
            # FSDP2 averages over ranks; the denominators in `totals` are already the batch's.
            scale = self._ranks.size if metrics is not None else 0
            (value.loss * scale).backward()  # type: ignore[no-untyped-call]
        if metrics is not None:
            metrics.add({"loss": float(value.loss.detach()), **value.metrics})
            metrics.add_mismatch(tokens, totals)

    def state(self) -> dict[str, Any]:
        """Return all that `update` depends on but the model's parameters, for `torch.save`.

        Over several ranks each has the whole state, so it does not matter how many go on from it.
        """
        return {
            "step": self.step,
            "optimizer": moments(self.model, self._optimizer),
            "expert_biases": {
                name: bias_X.cpu().clone()
                for name, bias_X in moe.expert_biases(self._routers).items()
            },
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; the model's parameters are the caller's to load.

        Raises:
            ConfigError: the state is of another model.
        """
        biases = moe.expert_biases(self._routers)
        if set(biases) != set(state["expert_biases"]):
            raise ConfigError("the state's expert biases are of a model with other routers")
        for name, bias_X in biases.items():
            bias_X.copy_(state["expert_biases"][name])
        load_moments(self.model, self._optimizer, state["optimizer"])
        self.step = state["step"]

    def _tokens(
        self,
        batch: Sequence[TrainSample],
        micro: MicroBatch,
        out: TokenLogprobs,
        totals: Totals,
    ) -> Tokens:
        samples = [item.sample for item in batch]
        logprob_N = out.logprob_N_K[:, 0]
        episodes = {e: i for i, e in enumerate(dict.fromkeys(s.episode for s in samples))}
        domains = {name: i for i, name in enumerate(totals.domains)}

        def floats(field: str) -> torch.Tensor | None:
            """Gather a field of the batch at the sampled tokens; None if no sample has it."""
            values = [getattr(batch[i], field) for i in micro.indices]
            if all(value is None for value in values):
                return None
            if any(value is None for value in values):
                raise ConfigError(f"some samples of the batch have {field} and some have none")
            gathered = column(micro, samples, lambda i: getattr(batch[i], field))
            return gathered.to(logprob_N)

        def indices(of_sample: Any) -> torch.Tensor:
            return column(micro, samples, of_sample).long().to(logprob_N.device)

        old_logprob_N = floats("old_logprobs")
        advantage_N = floats("advantage")
        assert advantage_N is not None
        return Tokens(
            logprob_N=logprob_N,
            old_logprob_N=logprob_N.detach() if old_logprob_N is None else old_logprob_N,
            sampler_logprob_N=column(micro, samples, lambda i: samples[i].sampler_logprobs).to(
                logprob_N
            ),
            advantage_N=advantage_N,
            entropy_N=out.entropy_N,
            sample_N=indices(lambda i: i),
            episode_N=indices(lambda i: episodes[samples[i].episode]),
            domain_N=indices(lambda i: domains[samples[i].domain]),
            reference_logprob_N=floats("reference_logprobs"),
            teacher_logprob_N=floats("teacher_logprobs"),
            candidate_logprob_N_C=out.logprob_N_K[:, 1:] if out.logprob_N_K.shape[1] > 1 else None,
            teacher_candidate_logprob_N_C=floats("teacher_candidate_logprobs"),
        )

    def _apply(self) -> dict[str, float]:
        """Clip the gradients and step."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = value_of(
            torch.nn.utils.clip_grad_norm_(parameters, self.optimizer_config.max_grad_norm)
        )
        if not math.isfinite(norm):
            self._optimizer.zero_grad(set_to_none=True)
            raise TrainingError(
                f"the gradient of update {self.step + 1} has norm {norm}: the weights are as "
                "before; look for a loss or log-probability that is not finite"
            )
        rate = learning_rate(self.step, self.optimizer_config)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return {"grad_norm": norm, "learning_rate": rate}

    def _router_metrics(self) -> dict[str, float]:
        """Report the routers' loads, and balance them."""
        if not self._routers:
            return {}
        routed = self._scorer.taps.take()
        parts = self._ranks.gathered(routed)
        routed = RouteCounts(
            sum((part.counts_L_X for part in parts[1:]), parts[0].counts_L_X),
            sum(part.agreed for part in parts),
            sum(part.replayed for part in parts),
        )
        if self.config.expert_bias_rate:
            moe.update_expert_biases(self._routers, routed.counts_L_X, self.config.expert_bias_rate)
        metrics = moe.load_metrics(routed.counts_L_X)
        if routed.replayed:
            metrics["router/agreement"] = routed.agreed / routed.replayed
        return metrics

    @contextlib.contextmanager
    def _training(self) -> Iterator[None]:
        """Checkpoint activations within.

        transformers does so in layers in training mode alone; what is in them stays as it is.
        """
        for layer in self._checkpointed:
            layer.training = True
        try:
            yield
        finally:
            for layer in self._checkpointed:
                layer.training = False


def _wanted_ids(batch: Sequence[TrainSample], micro: MicroBatch) -> torch.Tensor | None:
    """The sampled tokens and, behind each, its candidates; None if there are none."""
    given = [batch[i].candidate_ids is not None for i in micro.indices]
    if not any(given):
        return None
    if not all(given):
        raise ConfigError("some samples of the batch have candidate_ids and some have none")
    samples = [item.sample for item in batch]
    candidates_N_C = column(micro, samples, lambda i: np.asarray(batch[i].candidate_ids))
    return torch.cat([micro.ids_N[:, None], candidates_N_C], dim=1)


def shard_scorer(
    scorer: Scorer, model: PreTrainedModel, config: PolicyConfig, ranks: Ranks | None
) -> None:
    """Shard a scorer's model if there are several ranks, or computation is in another type.

    Raises:
        ConfigError: computation is in another type, and the ranks are missing.
    """
    dtype = model.dtype if config.dtype is None else getattr(torch, config.dtype)
    if dtype == model.dtype and (ranks is None or ranks.size == 1):
        return
    if ranks is None or ranks.store is None:
        raise ConfigError(
            f"dtype is {config.dtype!r} and the weights are {model.dtype}: pass the ranks that "
            "cascade.trainer.distributed.join gives, also for one process"
        )
    shard(scorer.net, model, ranks, dtype)
    register_fsdp_forward_method(scorer.net, "likeliest")


def _checkpointed_layers(model: PreTrainedModel) -> list[GradientCheckpointingLayer]:
    if not model.supports_gradient_checkpointing:
        raise ConfigError(
            f"activation_checkpointing is on, but {type(model).__name__} has no checkpoints"
        )
    model.gradient_checkpointing_enable({"use_reentrant": False})
    return [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]


class _Metrics:
    """Adds up what micro-batches report."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = defaultdict(float)
        self.max_abs = 0.0

    def add(self, parts: Mapping[str, float]) -> None:
        for name, part in parts.items():
            self.sums[name] += part

    @torch.no_grad()
    def add_mismatch(self, tokens: Tokens, totals: Totals) -> None:
        """How far the trainer's log-probabilities are from the sampler's, and the entropy."""
        difference_N = tokens.old_logprob_N - tokens.sampler_logprob_N
        k3_N = difference_N.expm1() - difference_N
        sums = torch.stack([tokens.entropy_N.sum(), k3_N.sum(), difference_N.abs().sum()]).tolist()
        names = ("entropy", "mismatch/k3", "mismatch/mean_abs")
        self.add({n: s / totals.num_tokens for n, s in zip(names, sums, strict=True)})
        if len(difference_N):
            self.max_abs = max(self.max_abs, float(difference_N.abs().max()))
