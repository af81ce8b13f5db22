"""GRPO as a stage of a recipe: sync, collect groups, one update, evaluate."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cascade.envs.rollout import derive_seed
from cascade.errors import ConfigError, DataError, EngineError
from cascade.trainer.advantages import group_advantages, normalised
from cascade.trainer.checkpoint import load_weights, save_model
from cascade.trainer.collect import Collected, Collector, TrainEnv, engine_failed, remove_journals
from cascade.trainer.curriculum import TaskStream
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.recipe import Context, StageRun
from cascade.trainer.samplers import TorchSampling
from cascade.trainer.samples import Sample, samples_of
from cascade.trainer.settings import Range, check_fields
from cascade.trainer.sync import Audit, Sampler, Sampling, verify_sync
from cascade.types import SamplingParams, Trajectory

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

    from cascade.trainer.advantages import GroupAdvantages
    from cascade.trainer.batch import TrainSample
    from cascade.trainer.policy import PolicyConfig
    from cascade.trainer.scorer import Scorer
    from cascade.trainer.tokens import Loss

__all__ = ["Evaluation", "GrpoStage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Held-out tasks that are looked at while training; never trained on."""

    env: TrainEnv
    """Environment and tasks."""
    every: Annotated[int, Range(1)] = 10
    """Steps between evaluations; the stage's first and last step always have one."""
    samples: Annotated[int, Range(1)] = 1
    """Episodes of each task."""
    temperature: Annotated[float, Range(0)] | None = None
    """Of sampling; 0 is greedy; None: the stage's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpoStage:
    """Reinforcement learning on groups of episodes, on-policy: one update a batch."""

    name: str = "grpo"
    """Of the stage, for ``--set``."""
    steps: Annotated[int, Range(1)]
    """Updates."""
    envs: tuple[TrainEnv, ...]
    """What is trained on; tasks are drawn by the environments' shares."""
    groups: Annotated[int, Range(1)] = 32
    """Tasks of one update."""
    group_size: Annotated[int, Range(2)] = 8
    """Episodes of each task."""
    sampling: SamplingParams = field(default_factory=lambda: SamplingParams(max_tokens=1024))
    """How messages are sampled: temperature, budget of tokens."""
    engine: Sampling = field(default_factory=TorchSampling)
    """Where samples come from."""
    loss: Loss = field(default_factory=lambda: _grpo())
    """See `cascade.trainer.losses`."""
    advantages: GroupAdvantages = normalised
    """How the rewards of a group become advantages; see `cascade.trainer.advantages`."""
    policy: PolicyConfig = field(default_factory=lambda: _policy_config())
    """Micro-batches, checkpoints of activations, routers."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """AdamW and its schedule."""
    overlong: Literal["judged", "zero", "filtered"] = "judged"
    """What becomes of episodes that the token budget cut off: judged like any other, reward 0, or
    left out of the loss (their reward still counts in the group's mean)."""
    max_waves: Annotated[int, Range(1)] = 3
    """Dynamic sampling: groups whose rewards are all equal are replaced until this many waves of
    new groups have run; 1 replaces none."""
    fault_retries: Annotated[int, Range(0)] = 2
    """How often a faulty episode is tried again before it is left out."""
    engine_restarts: Annotated[int, Range(0)] = 2
    """How often in a step an engine that failed is opened anew, for the same samples."""
    concurrency: Annotated[int, Range(1)] | None = None
    """Episodes in flight; None: what keeps the engine full."""
    journal: bool = True
    """Keep episodes on disk until a checkpoint covers them, so that a killed run does not sample
    them again. Costs much with recorded routes: they are written as JSON."""
    audit: Audit = field(default_factory=Audit)
    """Limits of the check after each sync."""
    evaluation: Evaluation | None = None
    """What is looked at on the way."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        check_fields(self)
        if not self.envs:
            raise ConfigError("envs is empty: give the stage at least one environment")
        params = self.sampling
        if params.temperature <= 0 or params.top_p != 1 or params.top_k != 0:
            raise ConfigError(
                "sampling must have a temperature above 0, top_p 1 and top_k 0, since the "
                "trainer's probabilities are those of the whole distribution; got "
                f"{params.temperature!r}, {params.top_p!r} and {params.top_k!r}"
            )

    def open(self, context: Context) -> StageRun:
        """Load tasks and start; the engine opens at the first step."""
        return GrpoRun(self, context)


def _grpo() -> Loss:
    from cascade.trainer.losses import Grpo

    return Grpo()


def _policy_config() -> PolicyConfig:
    from cascade.trainer.policy import PolicyConfig

    return PolicyConfig()


class GrpoRun:
    """Implements `StageRun`."""

    def __init__(self, stage: GrpoStage, context: Context) -> None:
        from cascade.trainer.distributed import Ranks
        from cascade.trainer.policy import Policy

        self.stage = stage
        self.context = context
        policy = replace(stage.policy, temperature=stage.sampling.temperature)
        self.policy = Policy(context.model, policy, stage.optimizer, context.ranks)
        self._ranks = context.ranks or Ranks()
        self._whole = _whole_model(context, stage)
        self._pools = [env.open() for env in stage.envs]
        self._held_out = stage.evaluation.env.open() if stage.evaluation else None
        self._stream = TaskStream([pool.domain() for pool in self._pools], seed=context.seed)
        self._sampler: Sampler | None = None
        self._collector: Collector | None = None
        self._reference: Scorer | None = None
        self._gathered: int | None = None
        self._synced: int | None = None
        self._steps_done = 0

    async def step(self, index: int) -> Mapping[str, float]:
        """Collect episodes with the present weights, and take one optimizer step on them."""
        began = time.perf_counter()
        self._gather()
        with self._ranks.phase("collect episodes"):
            collected, metrics = await self._ranks.awaited_from_first(partial(self._collect, index))
        with _timed(metrics, "seconds/update"):
            metrics |= self._update(collected, index)
        self._steps_done = index + 1
        seconds = time.perf_counter() - began
        metrics["tokens_per_second"] = metrics["sampled_tokens"] / seconds
        if self._evaluates(index):
            self._gather()
            with self._ranks.phase("evaluate"):
                metrics |= await self._ranks.awaited_from_first(
                    partial(self._evaluate, "eval/pass_rate", metrics)
                )
        return metrics

    async def _collect(self, index: int) -> tuple[Collected, dict[str, float]]:
        """Sync, evaluate before the first step, and collect; on rank 0 alone."""
        collector = await self._opened()
        metrics: dict[str, float] = {}
        with _timed(metrics, "seconds/sync"):
            metrics |= await self._sync()
        if index == 0:
            metrics |= await self._evaluate("eval/start_pass_rate", metrics)
        with _timed(metrics, "seconds/rollout"):
            collected = await collector.collect(index)
            await collector.sampler.rest()
        for episode in _to_show(collected):
            self.context.record(episode)
        return collected, metrics | dict(collected.metrics)

    def _gather(self) -> None:
        """Bring the weights from all ranks to the model that rank 0 samples from."""
        from cascade.trainer.distributed import copy_weights

        if self.context.ranks is None or self._gathered == self.policy.step:
            return
        with self._ranks.phase("gather weights"):
            copy_weights(self.context.model, self.context.whole)
        self._gathered = self.policy.step

    def state(self) -> dict[str, Any]:
        """Return optimizer, expert biases and the place in the tasks."""
        return {
            "policy": self.policy.state(),
            "stream": self._stream.state(),
            "steps_done": self._steps_done,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.policy.load_state(state["policy"])
        self._stream.load_state(state["stream"])
        self._steps_done = int(state["steps_done"])

    def saved(self) -> None:
        """Drop the journals of steps that a checkpoint covers."""
        if self._ranks.rank == 0:
            remove_journals(self.context.scratch, before=self._steps_done)

    async def aclose(self) -> None:
        """Close the engine."""
        if self._sampler is not None:
            await self._sampler.aclose()

    async def _opened(self) -> Collector:
        if self._collector is not None:
            return self._collector
        stage, context = self.stage, self.context
        self._sampler = await stage.engine.open(self._whole, context.tokenizer, context.scratch)
        self._collector = Collector(
            self._pools,
            self._stream,
            self._sampler,
            replace(stage.sampling, logprobs=True),
            num_groups=stage.groups,
            group_size=stage.group_size,
            max_waves=stage.max_waves,
            retries=stage.fault_retries,
            concurrency=stage.concurrency,
            restarts=stage.engine_restarts,
            recover=self._recover,
            seed=context.seed,
            journal=context.scratch if stage.journal else None,
        )
        return self._collector

    async def _sync(self) -> dict[str, float]:
        """Bring the engine to the present weights, and check that it has them.

        Raises:
            EngineError: it fails again and again, also after it was opened anew.
        """
        assert self._sampler is not None
        for left in reversed(range(self.stage.engine_restarts + 1)):
            if self._synced == self.policy.step:
                break
            try:
                return await self._sync_once(self._sampler)
            except EngineError as error:
                if left == 0:
                    raise
                await self._reopen(str(error))
        return {}

    async def _sync_once(self, sampler: Sampler) -> dict[str, float]:
        version = f"{self.stage.name}-{self.policy.step}"
        await sampler.sync(version)
        first = slice(self.stage.audit.prompts)
        probes = [task.messages for pool in self._pools for task in pool.tasks[first]]
        told = await verify_sync(
            sampler, self._whole, probes, self.stage.sampling, self.stage.audit, version
        )
        self._synced = self.policy.step
        return told

    async def _recover(self, reason: str) -> None:
        """Open an engine that failed anew, with the same weights."""
        await self._reopen(reason)
        await self._sync()

    async def _reopen(self, reason: str) -> None:
        assert self._sampler is not None
        self.context.say(f"the engine failed ({reason}); it is opened anew for the same samples")
        self._synced = None
        await self._sampler.reopen()

    def _update(self, collected: Collected, index: int) -> dict[str, float]:
        batch = self._batch(collected, index)
        if not batch:
            self.context.say(
                f"step {index + 1} of {self.stage.name}: no group of "
                f"{self.stage.groups * self.stage.max_waves} had different rewards, so there is "
                "nothing to learn from: the update is left out"
            )
            return {"update/skipped": 1.0}
        return self.policy.update(batch, self.stage.loss)

    def _batch(self, collected: Collected, index: int) -> list[TrainSample]:
        """Turn groups into samples with advantages."""
        from cascade.trainer.batch import TrainSample

        episodes = [
            (number, self._shaped(episode), group.draw.domain)
            for number, group in enumerate(collected.groups)
            for episode in group.episodes
        ]
        advantages = group_advantages(
            [episode.reward for _, episode, _ in episodes],
            [number for number, _, _ in episodes],
            self.stage.advantages,
        )
        samples: list[Sample] = []
        weights: list[float] = []
        for i, (number, episode, domain) in enumerate(episodes):
            if self.stage.overlong == "filtered" and _cut_off(episode):
                continue
            own = samples_of(episode, episode=i, group=number, domain=domain)
            samples += own
            weights += [advantages[i] or 0.0] * len(own)
        references = self._reference_logprobs(samples, index)
        return [
            TrainSample(sample, advantage=weight, reference_logprobs=reference)
            for sample, weight, reference in zip(samples, weights, references, strict=True)
        ]

    def _shaped(self, episode: Trajectory) -> Trajectory:
        if self.stage.overlong == "zero" and _cut_off(episode):
            return replace(episode, reward=0.0)
        return episode

    def _reference_logprobs(self, samples: Sequence[Sample], index: int) -> Sequence[Any]:
        """Score under the weights that the stage began with, where the loss has a KL term."""
        if not getattr(self.stage.loss, "kl_coefficient", 0.0):
            return [None] * len(samples)
        if self._reference is None:
            self._reference = self._open_reference(index)
        return self._reference.logprobs(samples)

    def _open_reference(self, index: int) -> Scorer:
        from cascade.trainer.policy import shard_scorer
        from cascade.trainer.scorer import Scorer

        context, config = self.context, self.policy.config
        folder = self._ranks.from_first(partial(self._reference_folder, index))
        model = load_weights(
            folder,
            dtype=str(context.model.dtype).removeprefix("torch."),
            device=str(context.model.device if self._ranks.size == 1 else "cpu"),
        )
        scorer = Scorer(
            model,
            row_tokens=config.row_tokens,
            micro_batch_tokens=config.micro_batch_tokens,
            temperature=config.temperature,
            replay=False,
            ranks=context.ranks,
        )
        shard_scorer(scorer, model, config, context.ranks)
        return scorer

    def _reference_folder(self, index: int) -> Path:
        """Save the reference model in the stage's first step; say where it is."""
        folder = self.context.scratch / "reference"
        if not folder.is_dir():
            if index > 0:
                raise DataError(f"{folder} is gone: it held the reference model of the KL term")
            save_model(folder.parent, folder.name, self._whole, self.context.tokenizer)
        return folder

    def _evaluates(self, index: int) -> bool:
        evaluation = self.stage.evaluation
        last = index + 1 == self.stage.steps
        return evaluation is not None and (last or (index + 1) % evaluation.every == 0)

    async def _evaluate(self, name: str, metrics: dict[str, float]) -> dict[str, float]:
        """Return the mean reward on the held-out tasks under the present weights."""
        if self.stage.evaluation is None or self._held_out is None:
            return {}
        assert self._sampler is not None
        evaluation, pool = self.stage.evaluation, self._held_out
        with _timed(metrics, "seconds/evaluation"):
            await self._sync()
            temperature = evaluation.temperature
            params = self.stage.sampling
            if temperature is not None:
                params = replace(params, temperature=temperature)
            episodes = [
                partial(
                    pool.episode,
                    params=params,
                    task_id=task.id,
                    sample=sample,
                    seed=derive_seed(self.context.seed, "evaluation", task.id, sample),
                    metadata={},
                )
                for task in pool.tasks
                for sample in range(evaluation.samples)
            ]
            done = await self._sampler.run(episodes, self.stage.concurrency)
            for _ in range(self.stage.engine_restarts):
                failed = [episode for episode in done if engine_failed(episode)]
                if not failed:
                    break
                await self._recover(failed[0].verdict.reason)
                done = await self._sampler.run(episodes, self.stage.concurrency)
        judged = [episode for episode in done if not episode.verdict.is_fault]
        if not judged:
            raise EngineError(f"every episode of the evaluation failed: {done[0].verdict.reason}")
        return {name: sum(e.reward for e in judged) / len(judged)}


def _whole_model(context: Context, stage: GrpoStage) -> PreTrainedModel:
    """Return the model that rank 0 samples from; the others have it for its config alone."""
    if context.whole is None or context.ranks is None:
        return context.model
    if isinstance(stage.engine, TorchSampling):  # decodes with this copy itself
        return context.whole.to(context.ranks.device)
    return context.whole


def _cut_off(episode: Trajectory) -> bool:
    return episode.stop_reason.value == "length"


def _to_show(collected: Collected) -> list[Trajectory]:
    """Episodes for the file of samples: one of each group first."""
    firsts = [group.episodes[0] for group in collected.groups]
    return firsts or list(collected.judged)


@contextmanager
def _timed(metrics: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    metrics[name] = metrics.get(name, 0.0) + time.perf_counter() - began
