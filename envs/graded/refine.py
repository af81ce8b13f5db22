"""Generate, verify, refine: the search for a proof that DeepSeekMath-V2 published.

A round writes proofs, has each verified many times, and keeps all in a pool. The next round refines
the best of the pool: each new proof is asked for with one of them and some of its evaluations, the
critical ones first. It ends when a proof's mean score reaches `enough`, or after `rounds`.

Source: deepseek-ai/DeepSeek-Math-V2 at 665c840, inference/main.py and run.sh. As there, evaluations
are not themselves verified. Budgets of Nemotron-Cascade 2 (arXiv:2603.19220, appendix A): 128
proofs, 64 verifications each, the 32 best, 8 evaluations shown, 4 new proofs, at most 8 rounds.
The prompts are ours, after the published rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from cascade.envs.engines import Engine
from cascade.envs.graded.rubrics import filled, find_rubric
from cascade.envs.judges import Judge
from cascade.envs.rollout import derive_seed
from cascade.errors import ConfigError, EngineError
from cascade.types import Message, SamplingParams, StopReason
from cascade.verifiers.reasoning import strip_reasoning

__all__ = ["Budget", "Proof", "RefinedProof", "refine"]

_WRITE = """\
Solve a problem with a complete proof. Where an answer is asked for, give it and prove that it \
is right. Your solution will be scored: 1 if every step is correct and clear, 0.5 if details \
are missing or there are minor errors, 0 if it does not solve the problem or has a fatal error. \
A result that you only cite counts as unproved. If a gap remains that you cannot close, say so.

Problem:
{problem}"""

_IMPROVE = """\


Below is a solution to this problem, followed by evaluations of it. Write a better one: mend \
what the evaluations rightly complain of, keep what is good, or take another way.

{answer}"""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is spent on one problem.

    Raises:
        ConfigError: a number below 1, or more shown than there is.
    """

    proofs: int = 128
    """Proofs of the first round."""
    verifications: int = 64
    """Evaluations of each proof."""
    best: int = 32
    """Proofs of the pool that a round refines."""
    refinements: int = 4
    """New proofs from each of them."""
    shown: int = 8
    """Evaluations that a refinement sees."""
    rounds: int = 8
    enough: float = 0.99999
    """Mean score at which the search ends."""

    def __post_init__(self) -> None:
        """Refuse budgets with which nothing is found."""
        for name in ("proofs", "verifications", "best", "refinements", "shown", "rounds"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class Proof:
    """One proof with its evaluations."""

    text: str
    scores: tuple[float, ...]
    """0, 0.5 or 1 of each evaluation that gave a verdict."""
    evaluations: tuple[str, ...] = field(default=(), repr=False)
    round: int = 1

    @property
    def mean(self) -> float:
        """Mean score; 0 without any."""
        return fmean(self.scores) if self.scores else 0.0


@dataclass(frozen=True, slots=True)
class RefinedProof:
    """What the search found."""

    best: Proof | None
    """None if no proof was written and evaluated."""
    rounds: int
    proofs: int
    """Proofs that were evaluated in all rounds."""
    unfinished: int
    """Proofs that were cut off, blank, or lost to the engine."""
    faults: int
    """Evaluations without a verdict."""


async def refine(
    problem: str,
    engine: Engine,
    judge: Judge,
    params: SamplingParams,
    budget: Budget | None = None,
    *,
    seed: int = 0,
) -> RefinedProof:
    """Search for a proof of one problem.

    Args:
        problem: its statement.
        engine: writes proofs.
        judge: evaluates them; usually the same model.
        params: how proofs are sampled.
        budget: what may be spent; the published one if not given.
        seed: makes the search repeatable, as far as the engines are.

    Raises:
        ConfigError: an engine will never accept such a request.
    """
    search = _Search(problem, engine, judge, params, budget or Budget(), seed)
    return await search.run()


class _Search:
    def __init__(
        self, problem: str, engine: Engine, judge: Judge, params: SamplingParams, budget: Budget,
        seed: int,
    ) -> None:  # fmt: skip
        self.problem, self.engine, self.judge = problem, engine, judge
        self.params, self.budget, self.seed = params, budget, seed
        self.pool: list[Proof] = []
        self.unfinished = self.faults = 0

    async def run(self) -> RefinedProof:
        asked = [_WRITE.replace("{problem}", self.problem)] * self.budget.proofs
        number = 0
        for number in range(1, self.budget.rounds + 1):
            texts = await asyncio.gather(
                *(self._written(prompt, number, i) for i, prompt in enumerate(asked))
            )
            known = {proof.text for proof in self.pool}
            fresh = list(dict.fromkeys(t for t in texts if t is not None and t not in known))
            self.pool += await asyncio.gather(*(self._evaluated(t, number) for t in fresh))
            self.pool = [proof for proof in self.pool if proof.scores]
            if not self.pool or max(p.mean for p in self.pool) > self.budget.enough:
                break
            asked = self._refinements()
        best = max(self.pool, key=lambda proof: proof.mean, default=None)
        return RefinedProof(best, number, len(self.pool), self.unfinished, self.faults)

    async def _written(self, prompt: str, number: int, index: int) -> str | None:
        """One proof, without its reasoning; None if it was not finished."""
        messages: tuple[Message, ...] = ({"role": "user", "content": prompt},)
        seed = derive_seed(self.seed, "proof", self.problem, number, index)
        try:
            (completion,) = await self.engine.sample([messages], replace(self.params, seed=seed))
        except EngineError:
            self.unfinished += 1
            return None
        text = strip_reasoning(completion.text)
        if completion.stop_reason is StopReason.LENGTH or text is None or not text.strip():
            self.unfinished += 1
            return None
        return text.strip()

    async def _evaluated(self, text: str, number: int) -> Proof:
        rubric = find_rubric("verify")
        content = filled(rubric.prompt, {"problem": self.problem, "answer": text})
        messages: tuple[Message, ...] = ({"role": "user", "content": content},)
        judgments = await asyncio.gather(
            *(
                self.judge.ask(messages, rubric.parse, sample=i)
                for i in range(self.budget.verifications)
            )
        )
        found = [(j.value, j.reply) for j in judgments if j.value is not None]
        self.faults += len(judgments) - len(found)
        found.sort(key=lambda pair: pair[0])
        return Proof(text, tuple(s for s, _ in found), tuple(r for _, r in found), number)

    def _refinements(self) -> list[str]:
        """Ask for better proofs, from the best of the pool."""
        best = sorted(self.pool, key=lambda proof: -proof.mean)[: self.budget.best]
        asked = []
        for proof in best:
            shown = _shown(proof, self.budget.shown)
            given = f"Solution:\n{proof.text}\n\n{shown}"
            prompt = _WRITE.replace("{problem}", self.problem) + _IMPROVE.replace("{answer}", given)
            asked += [prompt] * self.budget.refinements
        return asked


def _shown(proof: Proof, count: int) -> str:
    """The evaluations that a refinement sees: the most critical ones."""
    texts: Sequence[str] = proof.evaluations[:count]
    return "\n\n".join(f"Evaluation {i}:\n{text}" for i, text in enumerate(texts, start=1))
