"""Suites `instructions` and `tools`: their metrics, the forms of their outputs, `rescore`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cascade.envs import make_env, rollout
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.trajectories import TrajectoryWriter
from cascade.errors import DataError
from cascade.evals.followed import INSTRUCTION_METRICS
from cascade.evals.formats import find_format
from cascade.evals.records import Record
from cascade.evals.task import find_task
from cascade.types import Completion, SamplingParams, StopReason, VerdictStatus
from cascade.verifiers.instructions import InstructionVerifier
from mock_server import MockServer

RULES = [
    {"id": "punctuation:no_comma", "kwargs": {}},
    {"id": "startend:end_checker", "kwargs": {"end_phrase": "the end"}},
]


def record(response: str, name: str = "a") -> Record:
    verdict = InstructionVerifier(both=True)(response, RULES)
    return Record("t", name, 0, verdict.reward, verdict.status, None, False, False, False, 0,
                  verdict.parts)  # fmt: skip


def test_both_modes_are_judged_from_one_response() -> None:
    """Without its last line the text ends as asked: loosely it follows."""
    response = "It was the end\nGoodbye"
    verdict = InstructionVerifier("strict", both=True)(response, RULES)
    assert verdict.reward == 0.0
    assert verdict.parts == {
        "strict/punctuation:no_comma": 1.0, "strict/startend:end_checker": 0.0,
        "loose/punctuation:no_comma": 1.0, "loose/startend:end_checker": 1.0,
    }  # fmt: skip
    assert InstructionVerifier("loose", both=True)(response, RULES).reward == 1.0


def test_accuracy_by_prompt_and_by_instruction() -> None:
    problems = [
        [record("It was the end\nGoodbye")],
        [record("the end", "b")],
        [record("no, never", "c")],
    ]
    found = {metric.name: metric.compute(problems) for metric in INSTRUCTION_METRICS}
    assert found == {
        "prompt strict": pytest.approx(100 / 3), "instruction strict": pytest.approx(50.0),
        "prompt loose": pytest.approx(200 / 3), "instruction loose": pytest.approx(400 / 6),
    }  # fmt: skip
    with pytest.raises(DataError, match="does not say"):
        INSTRUCTION_METRICS[0].compute(
            [[Record("t", "a", 0, 1.0, VerdictStatus.CORRECT, None, False, False, False, 0)]]
        )


def read(name: str, row: dict[str, Any]) -> Any:
    form, argument = find_format(name)
    return next(form.read(row, 0, argument))


def test_results_of_bfcl_are_text_or_calls() -> None:
    assert read("bfcl", {"id": "simple_0", "result": "[f(a=1)]"}).response == "[f(a=1)]"
    output = read("bfcl", {"id": "simple_0", "result": [{"f": '{"a": 1}'}, {"g": {}}]})
    assert output.response.count("<tool_call>") == 2
    assert '{"name": "f", "arguments": {"a": 1}}' in output.response
    with pytest.raises(DataError, match="'result'"):
        read("bfcl", {"id": "simple_0", "result": [1]})


def test_the_calls_of_a_gym_response_are_judged_too() -> None:
    call = {"type": "function_call", "name": "f", "arguments": '{"a": 1}'}
    row = {
        "response": {"output": [call]},
        "expected_action": {"type": "function_call", "name": "f", "arguments": '{"a": 1}'},
        "responses_create_params": {"input": "x", "tools": []},
        "reward": 1.0,
    }
    output = read("nemo_gym", row)
    assert output.gold["expected_action"]["name"] == "f"
    assert '"arguments": {"a": 1}' in output.response


def test_a_cut_off_response_follows_no_instruction(eval_main: Any, tmp_path: Path) -> None:
    """As in training: the text happens to follow, but it was not finished."""
    rows = [
        {"uuid": name, "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}],
         "response": {"output": [{"type": "message", "content": [{"text": "no comma"}]}],
                      **({"incomplete_details": {"reason": "max_output_tokens"}} if cut else {})}}
        for name, cut in (("whole", False), ("cut", True))
    ]  # fmt: skip
    path = tmp_path / "outputs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, errors = eval_main(
        "rescore", "--task", "instructions", "--outputs", path, "--format", "nemo_gym", "--json"
    )
    assert code in (0, 3), errors
    result = json.loads(out)
    assert (result["counts"]["correct"], result["counts"]["no_answer"]) == (1, 1)


@pytest.mark.parametrize("solve", [True, False])
def test_episodes_of_several_turns_are_rescored_from_their_trajectories(
    eval_main: Any, tmp_path: Path, solve: bool
) -> None:
    """The model's messages are sent again, also where a server had taken the calls out."""
    env = make_env("cascade/Pantry-v0", tasks="mini_pantry")
    task = env.tasks[0]
    (gold,) = task.reference["calls"]
    function = {"name": gold["name"], "arguments": json.dumps(gold["arguments"])}
    call = Completion("", StopReason.TOOL_CALLS, tool_calls=({"id": "1", "function": function},))
    replies: list[str | Completion | Exception] = [call, "Done."] if solve else ["Done."]
    episode = asyncio.run(
        rollout(env, ScriptedEngine(replies), SamplingParams(), task_id=task.id,
                metadata={"task": "mini_pantry"})
    )  # fmt: skip
    with TrajectoryWriter(tmp_path / "trajectories.jsonl") as writer:
        writer.write(episode)
    code, out, errors = eval_main(
        "rescore", "--task", "mini_pantry", "--outputs", tmp_path / "trajectories.jsonl", "--json"
    )
    assert code in (0, 3), errors
    result = json.loads(out)
    assert result["score"] == (100.0 if solve else 0.0)
    assert result["agreement"]["same"] == 1


@pytest.mark.parametrize("suite", ["instructions", "tools"])
def test_suites_run_with_toy_problems(
    eval_main: Any, server: MockServer, tmp_path: Path, suite: str
) -> None:
    """A server that always answers 12: no answer to anything, and no fault."""
    code, out, errors = eval_main(
        "--suite", suite, "--mini", "--base-url", server.base_url, "--model", "mock",
        "--limit", 2, "--samples", 1, "--out", tmp_path / "r", "--json",
    )  # fmt: skip
    assert code in (0, 3), errors
    report = json.loads(out)
    wanted = {"instructions": ["mini_instructions"],
              "tools": ["mini_tool_calling", "mini_pantry", "mini_customers"]}[suite]  # fmt: skip
    assert list(report["tasks"]) == wanted
    for task in report["tasks"].values():
        assert task["counts"]["fault"] == 0
        assert task["score"] == 0.0


def test_documents_and_office_work_are_rescored(eval_main: Any, tmp_path: Path) -> None:
    """Rows of responses for the one, trajectories for the other."""
    rows = []
    env = make_env("cascade/StructuredOutput-v0", tasks=find_task("documents").source.load())
    for task in list(env.tasks)[:4]:
        rows.append({"id": task.id, "response": env.oracle_response(task)})
    rows[0]["response"] = "17"
    (tmp_path / "outputs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    office = make_env("cascade/Workplace-v0", tasks=find_task("workplace").source.load())
    with TrajectoryWriter(tmp_path / "trajectories.jsonl") as writer:
        for task in list(office.tasks)[:2]:
            script: list[str | Completion | Exception] = list(office.oracle_response(task) or ())
            writer.write(
                asyncio.run(
                    rollout(office, ScriptedEngine(script), SamplingParams(), task_id=task.id,
                            metadata={"task": "workplace"})
                )
            )  # fmt: skip
    for task_name, file, right in (
        ("documents", "outputs.jsonl", 3), ("workplace", "trajectories.jsonl", 2),
    ):  # fmt: skip
        code, out, errors = eval_main(
            "rescore", "--task", task_name, "--outputs", tmp_path / file, "--json"
        )
        assert code in (0, 3), errors
        assert json.loads(out)["counts"]["correct"] == right


def test_customers_of_the_published_shop_are_played_by_a_model(
    eval_main: Any, data_dir: Path, tmp_path: Path
) -> None:
    """One server plays both: the customer hangs up at once, and nothing was done for it."""
    if not (data_dir / "tau2_toolorchestra").is_dir():
        pytest.skip(f"no τ²-bench at {data_dir}")
    out = tmp_path / "r"
    with MockServer(latency_seconds=0.01, reply="Good bye. ###STOP###") as server:
        run = (
            "--task", "tau2_retail", "--base-url", server.base_url, "--model", "mock",
            "--data-dir", data_dir, "--limit", 3, "--samples", 1, "--out", out, "--json",
        )  # fmt: skip
        code, _, errors = eval_main(*run)
        assert code == 2
        assert "judge" in errors
        code, printed, errors = eval_main(
            *run, "--judge-model", "mock", "--judge-base-url", server.base_url
        )
    assert code in (0, 3), errors
    counts = json.loads(printed)["tasks"]["tau2_retail"]["counts"]
    assert (counts["wrong"], counts["fault"]) == (3, 0)
    code, printed, errors = eval_main(
        "rescore", "--task", "tau2_retail", "--outputs", out / "trajectories.jsonl",
        "--data-dir", data_dir, "--json",
    )  # fmt: skip
    assert json.loads(printed)["agreement"] == {"same": 3, "ours_only": 0, "theirs_only": 0}
