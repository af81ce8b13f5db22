"""MOPD, multi-domain on-policy distillation, as a stage of a recipe.

The student samples; each response is scored by the teacher of its domain; the update pulls the
student towards that teacher at every sampled token (`cascade.trainer.losses.Mopd`). Collection,
sync, audit and checkpoints are those of `GrpoStage`, but no group is dropped: teachers have
something to say where all rewards are equal. docs/mopd.md tells more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cascade.errors import ConfigError
from cascade.trainer.advantages import group_advantages
from cascade.trainer.balance import Balance, ResponseMean
from cascade.trainer.collect import Collected
from cascade.trainer.grpo import GrpoRun, GrpoStage
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.recipe import Context, StageRun
from cascade.trainer.registry import Registry
from cascade.trainer.samples import Sample, samples_of
from cascade.trainer.settings import Range
from cascade.trainer.teachers import Teachers, TeacherSettings

if TYPE_CHECKING:
    from cascade.trainer.batch import TrainSample
    from cascade.trainer.losses import Mopd, MopdTopK

__all__ = ["MopdRun", "MopdStage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MopdStage(GrpoStage):
    """Distillation from one teacher per domain; defaults are those of Nemotron-Cascade 2."""

    name: str = "mopd"
    """Of the stage, for ``--set``."""
    group_size: Annotated[int, Range(1)] = 4
    """Episodes of each task; the report found 512 tasks with 1 as good as 128 with 4."""
    teachers: Mapping[str, str | None] = field(default_factory=dict)
    """Domain -> name of its teacher in the registry; None: the best checkpoint there. Empty: the
    best checkpoint for every domain of `envs`."""
    registry: str | None = None
    """The registry's file; None: that of the cascade that the stage runs in."""
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    """Where and how teachers run."""
    loss: Mopd | MopdTopK = field(default_factory=lambda: _mopd())
    """`Mopd` on the sampled token, as published, or `MopdTopK`. Its `share` is set by `balance`."""
    balance: Balance = field(default_factory=ResponseMean)
    """How much of the gradient each domain gets."""
    candidates: Annotated[int, Range(1)] | None = None
    """For `MopdTopK`: how many of the student's likeliest tokens are compared; None: all there
    are, which only small vocabularies allow."""
    updates: Annotated[int, Range(1)] = 1
    """Optimizer steps on each batch. Advantages and gaps are taken anew before each."""
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(
            peak_learning_rate=2e-6, initial_learning_rate=2e-7, warmup_steps=30
        )
    )
    """AdamW and its schedule. The warm-up matters: first gradients are much larger."""
    max_waves: Annotated[int, Range(1)] = 1
    """Groups are never replaced."""

    def __post_init__(self) -> None:
        """Refuse what cannot be distilled."""
        GrpoStage.__post_init__(self)
        if self.max_waves != 1:
            raise ConfigError("max_waves must be 1: distillation drops no groups to replace")
        labels = [env.domain for env in self.envs]
        for domain in self.bindings:
            if domain not in labels:
                raise ConfigError(
                    f"a teacher is bound to domain {domain!r}, which no environment of stage "
                    f"{self.name!r} has; its domains are {', '.join(labels)}"
                )
        for label in labels:
            if label not in self.bindings:
                raise ConfigError(
                    f"domain {label!r} of stage {self.name!r} has no teacher; teachers are bound "
                    f"to: {', '.join(self.bindings)}"
                )

    @property
    def bindings(self) -> Mapping[str, str | None]:
        """Domain -> teacher, written out."""
        return self.teachers or {env.domain: None for env in self.envs}

    def open(self, context: Context) -> StageRun:
        """Load tasks and teachers."""
        return MopdRun(self, context)


def _mopd() -> Mopd:
    from cascade.trainer.losses import Mopd

    return Mopd()


class MopdRun(GrpoRun):
    """Implements `StageRun`."""

    stage: MopdStage

    def __init__(self, stage: MopdStage, context: Context) -> None:
        super().__init__(stage, context)
        if stage.registry is None:
            raise ConfigError(
                f"stage {stage.name!r} needs registry, the file that its teachers are found in; "
                "stages of a cascade get that of the cascade"
            )
        self.teachers = Teachers(
            stage.bindings,
            Registry.load(Path(stage.registry)),
            context.tokenizer,
            stage.teacher,
            temperature=stage.sampling.temperature,
            ranks=context.ranks,
        )
        for domain, entry in self.teachers.entries.items():
            context.say(f"{domain}: taught by {entry.name} ({entry.weights_sha256[:12]})")

    def _update(self, collected: Collected, index: int) -> dict[str, float]:
        samples, advantages = self._samples(collected)
        if not samples:
            return {"update/skipped": 1.0}
        before = self.teachers.seconds, self.teachers.swaps
        batch = self._with_teachers(samples, advantages)
        metrics: dict[str, float] = {}
        for _ in range(self.stage.updates):
            gaps = self._gaps(batch) if self.stage.balance.needs_gaps else {}
            loss = replace(self.stage.loss, share=self.stage.balance.share(gaps))
            metrics = self.policy.update(batch, loss)
        metrics["seconds/teachers"] = self.teachers.seconds - before[0]
        metrics["teacher/swaps"] = float(self.teachers.swaps - before[1])
        return {**_shares(metrics), **_by_domain(samples)}

    def _samples(self, collected: Collected) -> tuple[list[Sample], list[float]]:
        """Return the samples of all judged episodes, and each one's advantage in its group."""
        episodes = [
            episode
            for episode in collected.judged
            if not (self.stage.overlong == "filtered" and episode.stop_reason.value == "length")
        ]
        groups = [int(episode.metadata["group"]) for episode in episodes]
        rewards = [episode.reward for episode in episodes]
        of_episode = group_advantages(rewards, groups, self.stage.advantages)
        samples: list[Sample] = []
        advantages: list[float] = []
        for i, episode in enumerate(episodes):
            domain = str(episode.metadata["domain"])
            own = samples_of(episode, episode=i, group=groups[i], domain=domain)
            samples += own
            advantages += [of_episode[i] or 0.0] * len(own)
        return samples, advantages

    def _with_teachers(
        self, samples: Sequence[Sample], advantages: Sequence[float]
    ) -> list[TrainSample]:
        from cascade.trainer.batch import TrainSample
        from cascade.trainer.losses import MopdTopK

        if not isinstance(self.stage.loss, MopdTopK):
            scored = self.teachers.logprobs(samples)
            return [
                TrainSample(sample, advantage=advantage, teacher_logprobs=logprobs)
                for sample, advantage, logprobs in zip(samples, advantages, scored, strict=True)
            ]
        size = self.context.model.config.get_text_config().vocab_size
        ids = self.policy.likeliest(samples, min(self.stage.candidates or size, size))
        scored = self.teachers.candidate_logprobs(samples, ids)
        return [
            TrainSample(
                sample, advantage=advantages[i], candidate_ids=ids[i],
                teacher_candidate_logprobs=scored[i],
            )
            for i, sample in enumerate(samples)
        ]  # fmt: skip

    def _gaps(self, batch: Sequence[TrainSample]) -> dict[str, float]:
        """Return each domain's mean of abs(teacher - student) under the present weights, nats."""
        samples = [item.sample for item in batch]
        known = [item.teacher_logprobs for item in batch if item.teacher_logprobs is not None]
        teacher = known if len(known) == len(batch) else self.teachers.logprobs(samples)
        sums: dict[str, float] = {}
        counts: dict[str, int] = {}
        for sample, theirs, ours in zip(
            samples, teacher, self.policy.logprobs(samples), strict=True
        ):
            gap = abs(theirs - ours)[sample.sampled].sum()
            sums[sample.domain] = sums.get(sample.domain, 0.0) + float(gap)
            counts[sample.domain] = counts.get(sample.domain, 0) + sample.num_sampled
        return {domain: sums[domain] / counts[domain] for domain in sums}


def _shares(metrics: Mapping[str, float]) -> dict[str, float]:
    """Turn ``pull/DOMAIN`` into ``gradient/DOMAIN``, its share of the sum."""
    pulls = {name: value for name, value in metrics.items() if name.startswith("pull/")}
    total = sum(pulls.values()) or 1.0
    kept: dict[str, Any] = {name: value for name, value in metrics.items() if name not in pulls}
    return kept | {
        f"gradient/{name.removeprefix('pull/')}": value / total for name, value in pulls.items()
    }


def _by_domain(samples: Sequence[Sample]) -> dict[str, float]:
    """Return share of samples, share of tokens and mean reward of each domain."""
    tokens = sum(sample.num_sampled for sample in samples)
    found: dict[str, float] = {}
    for domain in sorted({sample.domain for sample in samples}):
        own = [sample for sample in samples if sample.domain == domain]
        found[f"samples/{domain}"] = len(own) / len(samples)
        found[f"tokens/{domain}"] = sum(sample.num_sampled for sample in own) / tokens
        found[f"reward/{domain}"] = sum(sample.reward for sample in own) / len(own)
    return found
