"""TRL on our environments: rewards, tools as methods, and real runs of its GRPOTrainer."""

from __future__ import annotations

import asyncio
import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cascade.envs import SingleTurnEnv, load_tasks, make_env
from cascade.envs.adapters import trl
from cascade.envs.adapters.dictated import DictatedEpisode
from cascade.envs.adapters.trl import grpo_arguments
from cascade.envs.tasksets import TaskSet
from cascade.errors import ConfigError, ContractError
from cascade.types import StopReason, Task, Verdict
from cascade.verifiers import tools
from conftest import unavailable
from tiny_models import random_qwen3_moe


def rewards(arguments: dict[str, Any], texts: list[str], ids: list[str]) -> list[float | None]:
    said = [[{"role": "assistant", "content": text}] for text in texts]
    found: list[float | None] = asyncio.run(arguments["reward_funcs"](said, task=ids))
    return found


def test_the_reward_of_a_text_is_the_environments() -> None:
    arguments = grpo_arguments("cascade/Math-v0", tasks="mini_arithmetic")
    data = arguments["train_dataset"]
    assert len(data) == 50
    task = load_tasks("mini_arithmetic")[0]
    assert data[0] == {"prompt": [dict(task.messages[0])], "task": task.id}
    right = f"\\boxed{{{task.reference}}}"
    assert rewards(arguments, [right, "\\boxed{-1}", ""], [task.id] * 3) == [1.0, 0.0, 0.0]
    assert arguments["reward_funcs"].__name__ == "cascade/Math-v0"


class BrokenJudgeEnv(SingleTurnEnv):
    """Judges only what begins with a letter."""

    default_tasks = "mini_arithmetic"

    def verifier(self, response: str, reference: Any, /) -> Verdict:
        if response[0].isdigit():
            raise ZeroDivisionError("the judge broke")
        return Verdict.correct(response)

    def oracle_response(self, task: Task) -> str:
        return "a"

    def wrong_response(self, task: Task) -> None:
        return None


def test_a_fault_is_none_and_never_a_reward_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trl, "make_env", lambda env_id, **options: BrokenJudgeEnv(**options))
    arguments = grpo_arguments("test/Broken-v0")
    task = load_tasks("mini_arithmetic")[0]
    assert rewards(arguments, ["1", "a"], [task.id] * 2) == [None, 1.0]


def test_what_the_template_opened_is_put_back() -> None:
    arguments = grpo_arguments("cascade/Math-v0", assistant_prefix="<think>\n")
    task = load_tasks("mini_arithmetic")[0]
    right = f"\\boxed{{{task.reference}}}"
    assert rewards(arguments, [right, f"</think>{right}"], [task.id] * 2) == [0.0, 1.0]


def test_several_turns_without_tools_are_refused() -> None:
    with pytest.raises(ConfigError, match="one message an episode"):
        grpo_arguments("cascade/Code-v0", tasks="mini_code", feedback_turns=2)


async def test_a_dictated_episode_can_be_abandoned_and_says_when_it_is_over() -> None:
    env = make_env("cascade/Math-v0")
    await DictatedEpisode(env, env.tasks[0].id).abandon()
    episode = DictatedEpisode(env, env.tasks[0].id)
    await episode.begin()
    await episode.say("\\boxed{-1}", StopReason.LENGTH)
    assert episode.trajectory is not None
    assert episode.trajectory.stop_reason is StopReason.LENGTH
    with pytest.raises(ContractError, match="the episode is over"):
        await episode.say("more")


def office(arguments: dict[str, Any], row: int) -> Any:
    data = arguments["train_dataset"][row]
    environment = arguments["environment_factory"][data["environment"]]()
    environment.reset(**{k: v for k, v in data.items() if k != "environment"})
    return environment


def test_the_gold_calls_of_every_office_task_earn_the_reward() -> None:
    arguments = grpo_arguments("cascade/Workplace-v0", tasks="mini_workplace")
    done = [[{"role": "assistant", "content": "Done."}]]
    for row, task in enumerate(load_tasks("mini_workplace")):
        solved, idle = office(arguments, row), office(arguments, row)
        for call in tools.gold_calls(task.reference):
            answer = getattr(solved, call.name)(**call.arguments)
            assert "<tool_response>" not in answer
        assert arguments["reward_funcs"](done, [solved]) == [1.0], task.id
        assert arguments["reward_funcs"](done, [idle])[0] < 1.0, task.id


def test_an_episode_that_was_cut_off_earns_nothing_and_the_next_one_is_new() -> None:
    arguments = grpo_arguments("cascade/Workplace-v0", tasks="mini_workplace")
    environment = office(arguments, 0)
    cut = [{"role": "assistant", "content": "", "tool_calls": [{"function": {}}]}]
    assert arguments["reward_funcs"]([cut], [environment]) == [0.0]
    task = load_tasks("mini_workplace")[0]
    environment.reset(task=task.id)
    for call in tools.gold_calls(task.reference):
        getattr(environment, call.name)(**call.arguments)
    said = [[{"role": "assistant", "content": "Done."}]]
    assert arguments["reward_funcs"](said, [environment]) == [1.0]


def test_tools_that_are_only_declared_are_judged_by_the_first_message() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    declared = {"type": "function", "function": {"name": "pay", "parameters": schema}}
    gold = {"calls": [{"name": "pay", "arguments": {"name": "Dia"}}]}
    every = load_tasks("mini_tool_calling")
    task = Task("pay", ({"role": "user", "content": "Pay Dia."},), gold, (declared,))
    arguments = grpo_arguments("cascade/ToolCalling-v0", tasks=replace(every, tasks=(task,)))
    for name, reward in (("Dia", 1.0), ("Leo", 0.0)):
        environment = office(arguments, 0)
        call = {"type": "function", "function": {"name": "pay", "arguments": {"name": name}}}
        environment.pay(name=name)
        said = [{"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool"}]
        assert arguments["reward_funcs"]([said], [environment]) == [reward]


def needs_trl() -> None:
    for module in ("torch", "transformers", "trl"):
        if importlib.util.find_spec(module) is None:
            unavailable(f"{module} is not installed: pip install 'cascade-rl[local,outside]'")


def test_tools_are_declared_to_trl_as_the_task_declares_them() -> None:
    needs_trl()
    from transformers.utils import get_json_schema

    arguments = grpo_arguments("cascade/Workplace-v0", tasks="mini_workplace")
    for row, task in enumerate(load_tasks("mini_workplace")):
        environment = office(arguments, row)
        for tool in task.tools:
            declared = tool["function"]
            seen = get_json_schema(getattr(environment, declared["name"]))["function"]
            assert seen["description"] == declared["description"]
            wanted, got = declared["parameters"], seen["parameters"]
            assert set(got.get("required", ())) == set(wanted.get("required", ()))
            for name, schema in wanted["properties"].items():
                kind, shown = schema["type"], got["properties"][name]
                if isinstance(kind, list):  # TRL writes a type that may be null this way
                    assert shown["nullable"]
                    kind = next(k for k in kind if k != "null")
                values = [value for value in schema.get("enum", ()) if value is not None]
                assert (shown["type"], shown.get("enum", [])) == (kind, values), (tool, name)
                assert shown["description"] == schema["description"]


def trained(tmp_path: Path, arguments: dict[str, Any], *texts: str, **options: Any) -> Any:
    """Run 3 steps of TRL's own trainer on a random model that often says one of `texts`.

    Returns the metrics of each step.
    """
    from trl import GRPOConfig, GRPOTrainer
    from trl.chat_template_utils import qwen3_chat_template

    from cascade.trainer.tokenizer import toy_tokenizer

    tokenizer = toy_tokenizer()
    tokenizer.chat_template = qwen3_chat_template  # TRL reads calls only of templates that it knows
    likely = math.log(len(tokenizer)) - 2  # about as likely as all others
    bias = [
        [ids[: n + 1], 60.0 if n else likely]
        for ids in map(tokenizer.encode, texts)
        for n in range(len(ids))
    ]
    config = GRPOConfig(
        output_dir=str(tmp_path), max_steps=3, per_device_train_batch_size=4, num_generations=4,
        learning_rate=1e-3, report_to=[], logging_steps=1, use_cpu=True, save_strategy="no",
        bf16=False, gradient_checkpointing=False, disable_tqdm=True,
        generation_kwargs={"sequence_bias": bias}, **options,
    )  # fmt: skip
    model = random_qwen3_moe(max_position_embeddings=4096)
    trainer = GRPOTrainer(model, args=config, processing_class=tokenizer, **arguments)
    trainer.train()
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(steps) == 3
    assert all(math.isfinite(entry["loss"]) for entry in steps)
    return steps


@pytest.mark.filterwarnings("ignore")
def test_trl_trains_on_math(tmp_path: Path) -> None:
    needs_trl()
    tasks = load_tasks("mini_arithmetic").take(1)
    arguments = grpo_arguments("cascade/Math-v0", tasks=tasks)
    right = f"\\boxed{{{tasks[0].reference}}}<|im_end|>"
    steps = trained(tmp_path, arguments, right, max_completion_length=4)
    assert any(0 < entry["rewards/cascade/Math-v0/mean"] < 1 for entry in steps)
    assert all((entry["reward_std"] > 0) == (entry["grad_norm"] > 0.1) for entry in steps)


def short_office_task() -> tuple[TaskSet, tuple[tools.Call, ...]]:
    """The office task with the shortest solution, offered no other tools: a short prompt."""
    every = load_tasks("mini_workplace")
    task = min(every, key=lambda task: len(str(task.reference["calls"])))
    calls = tools.gold_calls(task.reference)
    names = {call.name for call in calls}
    offered = tuple(tool for tool in task.tools if tool["function"]["name"] in names)
    return replace(every, tasks=(replace(task, tools=offered),)), calls


@pytest.mark.filterwarnings("ignore")
def test_trl_trains_on_the_office_with_its_tools(tmp_path: Path) -> None:
    """The model often calls the right tool, and often says that it is done; TRL does the rest."""
    needs_trl()
    tasks, calls = short_office_task()
    arguments = grpo_arguments("cascade/Workplace-v0", tasks=tasks)
    call = tools.render_calls(calls, "hermes") + "<|im_end|>"
    steps = trained(
        tmp_path, arguments, call, "Done.<|im_end|>",
        max_completion_length=240, max_tool_calling_iterations=1,
    )  # fmt: skip
    assert all(entry["tools/call_frequency"] > 0 for entry in steps)
    assert all(entry["tools/failure_frequency"] == 0 for entry in steps)
    assert any(entry["rewards/cascade/Workplace-v0/mean"] > 0 for entry in steps)
