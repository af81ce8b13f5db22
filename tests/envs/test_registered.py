"""Every registered environment, through Gymnasium's own front door."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import gymnasium
import pytest

from cascade.envs import env_ids, load_tasks, make_env, source_names
from cascade.envs.catalog import find_source
from cascade.envs.check import check_env, check_tasks
from cascade.envs.tasksets import MiniSource
from cascade.errors import UnknownNameError
from cascade.types import VerdictStatus

MINI = [name for name in source_names() if isinstance(find_source(name), MiniSource)]
ENV_OF = {
    "mini_ledger": "cascade/BfclMultiTurn-v0",
    "mini_customers": "cascade/Tau2-v0",
    "mini_code": "cascade/Code-v0",
    "mini_choice": "cascade/MultipleChoice-v0",
    "mini_instructions": "cascade/InstructionFollowing-v0",
    "mini_long_context": "cascade/LongContext-v0",
    "mini_preference": "cascade/Preference-v0",
    "mini_repair": "cascade/Repair-v0",
    "mini_multi_constraint": "cascade/InstructionFollowing-v0",
    "mini_pantry": "cascade/Pantry-v0",
    "mini_structured_output": "cascade/StructuredOutput-v0",
    "mini_tool_calling": "cascade/ToolCalling-v0",
    "mini_workplace": "cascade/Workplace-v0",
    "mini_pairwise": "cascade/Pairwise-v0",
    "mini_graded": "cascade/Graded-v0",
}


def env_of(task_set: str) -> str:
    return ENV_OF.get(task_set.rstrip("_12345"), "cascade/Math-v0")


@pytest.mark.parametrize("env_id", env_ids())
def test_env_keeps_the_contract(env_id: str) -> None:
    check_env(partial(make_env, env_id))


@pytest.mark.parametrize("env_id", env_ids())
def test_gymnasium_makes_it_alone_and_in_vectors(env_id: str) -> None:
    env = gymnasium.make(env_id)
    conversation, info = env.reset(seed=7)
    assert env.observation_space.contains(conversation)
    assert env.reset(seed=7)[1]["task"] == info["task"]
    _, reward, terminated, truncated, info = env.step("I do not know.")
    assert (reward, terminated, truncated) == (0.0, True, False)
    assert info["verdict"].status in (VerdictStatus.WRONG, VerdictStatus.NO_ANSWER)
    vector = gymnasium.make_vec(env_id, num_envs=3, vectorization_mode="sync")
    conversations, _ = vector.reset(seed=7)
    assert len(conversations) == 3
    assert conversations[0] == conversation
    _, rewards, terminations, _, _ = vector.step(["a", "b", "c"])
    assert rewards.tolist() == [0.0, 0.0, 0.0]
    assert terminations.tolist() == [True, True, True]
    vector.close()


def test_vectors_of_processes_work_without_shared_memory() -> None:
    vector = gymnasium.make_vec(
        "cascade/MultipleChoice-v0",
        num_envs=2,
        vectorization_mode="async",
        vector_kwargs={"shared_memory": False},
    )
    conversations, _ = vector.reset(seed=1)
    assert len(conversations) == 2
    _, rewards, *_ = vector.step(("\\boxed{A}", "nothing"))
    assert len(rewards) == 2
    vector.close()


@pytest.mark.parametrize("name", MINI)
def test_every_generated_set_proves_itself(name: str) -> None:
    """Gold is CORRECT, wrong is WRONG, empty is NO_ANSWER; every fifth row where programs run."""
    source = find_source(name)
    assert isinstance(source, MiniSource)
    tasks = load_tasks(name)
    assert len(tasks) == source.size
    chosen = list(tasks)[:: 5 if source.kind in ("code", "repair") else 1]
    assert check_tasks(make_env(env_of(name), tasks=tasks), chosen) == len(chosen)


@pytest.mark.parametrize("name", ["aime24", "aime25", "hmmt_feb25", "math500", "gsm8k"])
def test_every_published_set_proves_itself(data_dir: Path, name: str) -> None:
    env = make_env(env_of(name), tasks=name, data_dir=data_dir)
    assert check_tasks(env) == len(env.tasks)


def test_an_unknown_environment_lists_the_near_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cascade/Math-v0'"):
        make_env("cascade/Maths-v0")
