"""Overrides, prompts and what a run may change."""

from __future__ import annotations

import dataclasses

import pytest

from cascade.errors import ConfigError, DataError, DataNotFoundError
from cascade.evals.plan import Overrides, plan_tasks
from cascade.evals.task import find_task


def test_without_overrides_the_published_protocol_is_used() -> None:
    (planned,) = plan_tasks(["mini_modular"], Overrides(), None)
    assert planned.protocol == find_task("mini_modular").protocol
    assert planned.deviations == ()


def test_every_override_is_a_named_deviation() -> None:
    """The report says each place where a run left the protocol."""
    overrides = Overrides(
        samples=2, system="Be brief.", sampling={"temperature": 0.5, "max_tokens": 99}, limit=7
    )
    (planned,) = plan_tasks(["mini_modular"], overrides, None)
    assert planned.deviations == (
        "samples: 2 instead of 4",
        "system: 'Be brief.' instead of None",
        "temperature: 0.5 instead of 1.0",
        "max_tokens: 99 instead of 256",
        "the first 7 of 50 problems only",
    )
    assert planned.num_samples == 14


def test_prompt_and_system_message_are_put_around_the_problem() -> None:
    """Braces in a prompt or a problem are left alone: only {problem} is replaced."""
    overrides = Overrides(prompt="Solve {problem} in \\boxed{}.", system="S")
    (planned,) = plan_tasks(["mini_arithmetic"], overrides, None)
    task = planned.tasks[0]
    assert [m["role"] for m in task.messages] == ["system", "user"]
    problem = task.metadata["problem"]
    assert task.messages[-1]["content"] == f"Solve {problem} in \\boxed{{}}."


def test_a_prompt_for_multiple_choice_needs_the_options() -> None:
    with pytest.raises(ConfigError, match=r"\{options\}"):
        plan_tasks(["mini_choice"], Overrides(prompt="{problem}"), None)
    (planned,) = plan_tasks(["mini_choice"], Overrides(prompt="{problem}\n{options}"), None)
    assert "\nA) " in planned.tasks[0].messages[-1]["content"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (Overrides(samples=0), "samples must be 1 or more"),
        (Overrides(prompt="no field"), r"field \{problem\}"),
        (Overrides(sampling={"temperature": -1.0}), "temperature must be 0 or more"),
        (Overrides(limit=0), "limit must be 1"),
    ],
)
def test_overrides_that_no_run_can_satisfy_are_refused(overrides: Overrides, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_tasks(["mini_arithmetic"], overrides, None)


def test_mini_replaces_each_task_once() -> None:
    """Two tasks with the same counterpart are one."""
    planned = plan_tasks(["aime24", "gsm8k", "gpqa_diamond"], Overrides(), None, mini=True)
    assert [p.name for p in planned] == ["mini_arithmetic", "mini_choice"]


def test_identity_does_not_depend_on_where_the_data_lay() -> None:
    (planned,) = plan_tasks(["mini_arithmetic"], Overrides(), None)
    origin = dataclasses.replace(planned.tasks.provenance, source="/elsewhere")
    moved = dataclasses.replace(
        planned, tasks=dataclasses.replace(planned.tasks, provenance=origin)
    )
    assert moved.identity() == planned.identity()
    assert moved.as_json() != planned.as_json()


def test_missing_data_names_the_places_and_the_remedies(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    with pytest.raises(DataNotFoundError, match=r"aime25.*--data-dir.*hub"):
        plan_tasks(["aime25"], Overrides(), tmp_path)


def test_a_problem_without_an_answer_is_found_before_anything_is_sampled(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rows = [f'{{"problem": "p{i}", "answer": "{i}"}}' for i in range(29)]
    rows.append('{"problem": "p29", "answer": " "}')
    (tmp_path / "aime25.jsonl").write_text("\n".join(rows))
    with pytest.raises(DataError, match="has no answer"):
        plan_tasks(["aime25"], Overrides(), tmp_path)
