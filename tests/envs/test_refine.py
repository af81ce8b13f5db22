"""The loop that generates, verifies and refines proofs."""

from __future__ import annotations

import pytest

from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.graded.refine import Budget, refine
from cascade.envs.judges import Judge
from cascade.errors import ConfigError, EngineError
from cascade.types import Completion, Prompt, SamplingParams, StopReason

SMALL = Budget(proofs=4, verifications=2, best=2, refinements=1, shown=1, rounds=5)


def content(prompt: Prompt) -> str:
    return str(prompt[-1]["content"])  # type: ignore[index]


def prover(prompt: Prompt, params: SamplingParams) -> str:
    """Each refinement improves upon the solution that it is shown by one step."""
    shown = content(prompt).partition("Solution:\n")[2]
    return f"<think>hm</think>step {int(shown.split()[1]) + 1 if shown else 1}"


def verifier(prompt: Prompt, params: SamplingParams) -> str:
    step = int(content(prompt).partition("Solution:\nstep ")[2].split()[0])
    score = {1: "0", 2: "0.5"}.get(step, "1")
    return f"step {step} has its flaws \\boxed{{{score}}}"


async def test_proofs_are_refined_until_one_is_accepted() -> None:
    engine, judge = ScriptedEngine(prover), Judge(ScriptedEngine(verifier))
    found = await refine("Prove it.", engine, judge, SamplingParams(), SMALL)
    assert found.best is not None
    assert (found.best.text, found.best.mean, found.best.round) == ("step 3", 1.0, 3)
    assert (found.rounds, found.faults, found.unfinished) == (3, 0, 0)
    assert found.proofs == 3  # equal proofs are evaluated once


async def test_a_refinement_sees_the_proof_and_its_most_critical_evaluation() -> None:
    asked: list[str] = []

    def write(prompt: Prompt, params: SamplingParams) -> str:
        asked.append(content(prompt))
        return f"step {len(asked)}"

    replies = iter(["fine \\boxed{1}", "a gap \\boxed{0}"] * 50)
    judge = Judge(ScriptedEngine(lambda *_: next(replies)))
    budget = Budget(proofs=1, verifications=2, best=1, refinements=1, shown=1, rounds=2)
    found = await refine("Prove it.", ScriptedEngine(write), judge, SamplingParams(), budget)
    assert "Evaluation 1:\na gap" in asked[1]
    assert "fine" not in asked[1]
    assert asked[0] in asked[1]
    assert found.best is not None
    assert found.best.mean == 0.5


async def test_the_budget_bounds_what_is_asked() -> None:
    engine, judged = ScriptedEngine(lambda *_: "step 1"), ScriptedEngine("\\boxed{0}")
    found = await refine("Prove it.", engine, Judge(judged), SamplingParams(), SMALL)
    assert found.rounds == 5
    assert engine.num_samples <= 4 + 4 * 2
    assert judged.num_samples == 2


@pytest.mark.parametrize(
    "reply", ["", "<think>on", EngineError("x"), Completion("cut", StopReason.LENGTH)]
)
async def test_unfinished_proofs_are_counted_not_judged(
    reply: str | Exception | Completion,
) -> None:
    judged = ScriptedEngine("\\boxed{1}")
    found = await refine("Prove it.", ScriptedEngine(reply), Judge(judged), SamplingParams(), SMALL)
    assert (found.best, found.unfinished, judged.num_samples) == (None, 4, 0)


async def test_a_judge_that_rambles_is_counted_and_gives_no_score() -> None:
    found = await refine(
        "Prove it.", ScriptedEngine(prover), Judge(ScriptedEngine("lovely"), attempts=1),
        SamplingParams(), SMALL,
    )  # fmt: skip
    assert (found.best, found.faults) == (None, 2)


async def test_the_search_is_repeatable() -> None:
    seeds: list[int | None] = []

    def write(prompt: Prompt, params: SamplingParams) -> str:
        seeds.append(params.seed)
        return "step 9"

    for _ in range(2):
        await refine(
            "Prove it.", ScriptedEngine(write), Judge(ScriptedEngine(verifier)), SamplingParams(),
            SMALL,
        )  # fmt: skip
    assert seeds[:4] == seeds[4:]
    assert len({*seeds}) == 4


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="verifications"):
        Budget(verifications=0)
