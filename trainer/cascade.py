"""A cascade: stages trained one after another, every domain measured after each, forgetting undone.

A `Cascade` is a recipe of stages with the domains that are measured, and a gate after each stage.
The runner (`cascade.trainer.cascade_run`) trains stage after stage in folders of their own,
measures all domains, enters the checkpoint into the registry of teachers, and does what the gate
says. All that is finished is on disk: the same command goes on where it was, and a new capability
is one more stage at the end. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol

from cascade.errors import ConfigError, UnknownNameError
from cascade.trainer.heldout import CheckpointEngines, HeldOut, Sampler
from cascade.trainer.recipe import ModelSource, Recipe, Stage
from cascade.trainer.scores import Score, change
from cascade.trainer.settings import Range, check_fields

__all__ = [
    "Cascade",
    "CascadeStage",
    "Continue",
    "Decision",
    "Gate",
    "InsertStage",
    "OutsideTeacher",
    "Require",
    "StopOnDrop",
]

Scores = Mapping[str, Score]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a gate says."""

    action: Literal["continue", "stop", "insert"]
    reason: str = ""
    """For the log and the page."""
    stage: Stage | None = None
    """What is run next, for "insert"."""


class Gate(Protocol):
    """Looks at the scores after a stage and decides how the cascade goes on."""

    def __call__(self, before: Sequence[Scores], after: Scores, /) -> Decision:
        """Decide.

        Args:
            before: scores after each earlier stage, oldest first.
            after: scores after this one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Continue:
    """Always go on."""

    def __call__(self, before: Sequence[Scores], after: Scores) -> Decision:
        """Go on."""
        return Decision("continue")


@dataclass(frozen=True, slots=True)
class StopOnDrop:
    """Stop if a domain is clearly below its best, by more than `tolerance`."""

    tolerance: Annotated[float, Range(0, 1)] = 0.0
    """Drops up to this are borne even if they are significant."""

    def __call__(self, before: Sequence[Scores], after: Scores) -> Decision:
        """Stop or go on."""
        dropped = dropped_domains(before, after, self.tolerance)
        if dropped:
            return Decision("stop", f"clearly below its best: {', '.join(dropped)}")
        return Decision("continue", "no domain dropped")


@dataclass(frozen=True, slots=True)
class InsertStage:
    """Run `stage` (MOPD) if a domain is clearly below its best; at most once after each stage."""

    stage: Stage
    tolerance: Annotated[float, Range(0, 1)] = 0.0
    """As in `StopOnDrop`."""

    def __call__(self, before: Sequence[Scores], after: Scores) -> Decision:
        """Insert or go on."""
        dropped = dropped_domains(before, after, self.tolerance)
        if dropped:
            return Decision("insert", f"clearly below its best: {', '.join(dropped)}", self.stage)
        return Decision("continue", "no domain dropped")


@dataclass(frozen=True, slots=True)
class Require:
    """Stop unless a domain's score is at least `score`."""

    domain: str
    score: Annotated[float, Range(0, 1)]

    def __call__(self, before: Sequence[Scores], after: Scores) -> Decision:
        """Stop or go on.

        Raises:
            UnknownNameError: the domain is not measured.
        """
        if self.domain not in after:
            raise UnknownNameError.near("domain of the gate", self.domain, after)
        found = after[self.domain]
        words = f"{self.domain} has {found}, {100 * self.score:g} % are required"
        return Decision("continue" if found.mean >= self.score else "stop", words)


def dropped_domains(before: Sequence[Scores], after: Scores, tolerance: float = 0.0) -> list[str]:
    """Return the domains that are clearly below their best earlier score, and by how much."""
    found = []
    for domain, score in after.items():
        earlier = [scores[domain] for scores in before if domain in scores]
        if not earlier:
            continue
        best = max(earlier, key=lambda held: held.mean)
        difference, _, high = change(best, score)
        if high < 0 and -difference > tolerance:
            found.append(f"{domain} ({100 * difference:+.1f} points)")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeStage:
    """A stage, what it is meant to teach, and what happens after it."""

    stage: Stage
    """`SftStage`, `GrpoStage`, `MopdStage`, or any other."""
    learns: tuple[str, ...] = ()
    """Domains that it trains; () for one that teaches none in particular. For page and order."""
    gate: Gate = field(default_factory=Continue)
    """Decides how the cascade goes on."""
    rival: Stage | None = None
    """Another stage that is run from the same start, only to be compared."""

    @property
    def name(self) -> str:
        """Of the stage."""
        return self.stage.name


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideTeacher:
    """A checkpoint that the cascade did not train."""

    name: str
    """What stages call it; no stage may have this name."""
    folder: str
    """Its weights and tokenizer."""
    teaches: tuple[str, ...]
    """Domains that it may be bound to."""
    weights_sha256: str | None = None
    """Checksum that it must have (`cascade.trainer.registry.weights_digest`); None: any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """Everything that decides a cascade."""

    name: str
    """For titles."""
    model: ModelSource
    """First weights, and the tokenizer."""
    domains: tuple[HeldOut, ...]
    """What is measured after each stage."""
    stages: tuple[CascadeStage, ...]
    """In order."""
    outside_teachers: tuple[OutsideTeacher, ...] = ()
    """Teachers from elsewhere, for `MopdStage` to bind by name."""
    sampler: CheckpointEngines = field(default_factory=Sampler)
    """Engine of the evaluations; under torchrun `Sampler("torch")`, or `ServedCheckpoints`."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Decides everything random."""
    checkpoint_every: Annotated[int, Range(1)] = 20
    """Steps between checkpoints within a stage."""
    keep: Literal["all", "teachers"] = "all"
    """Which stages' final weights stay on disk: all, or those that are the best of a domain and the
    newest. Teachers are never deleted."""
    threads: Annotated[int, Range(1)] | None = None
    """torch's threads on the CPU; see `Recipe`."""
    deadline_seconds: Annotated[float, Range(above=0)] = 7200.0
    """Several processes: longest that a phase, or the evaluation after a stage, may take."""

    def __post_init__(self) -> None:
        """Refuse cascades that cannot run."""
        check_fields(self)
        names = [stage.name for stage in self.stages]
        names += [teacher.name for teacher in self.outside_teachers]
        if not self.stages:
            raise ConfigError(f"cascade {self.name!r} has no stages: give it at least one")
        if len(set(names)) != len(names):
            raise ConfigError(
                f"the stages and outside teachers of a cascade need different names, got {names}"
            )
        measured = [domain.name for domain in self.domains]
        if len(set(measured)) != len(measured):
            raise ConfigError(f"the domains of a cascade need different names, got {measured}")
        for stage in self.stages:
            for domain in stage.learns:
                if domain not in measured:
                    raise UnknownNameError.near(
                        f"domain that stage {stage.name!r} learns", domain, measured
                    )

    def in_a_row(self) -> Recipe:
        """Return the stages as one recipe, without gates and evaluations: what a plan looks at."""
        stages = tuple(entry.stage for entry in self.stages)
        return Recipe(name=self.name, model=self.model, stages=stages, seed=self.seed)

    def domain(self, name: str) -> HeldOut:
        """Return the domain called `name`.

        Raises:
            UnknownNameError: there is none.
        """
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise UnknownNameError.near("domain", name, [domain.name for domain in self.domains])
