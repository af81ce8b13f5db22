"""Recording what an engine samples, and giving it again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from cascade.envs.engines import Engine, open_engine
from cascade.envs.engines.replay import RecordingEngine, open_replay
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.rollout import rollout
from cascade.envs.trajectories import TrajectoryWriter
from cascade.errors import ConfigError, DataError, DataNotFoundError, EngineError
from cascade.types import Completion, Message, Prompt, SamplingParams, StopReason
from echo_env import TwiceEnv

PARAMS = SamplingParams(max_tokens=64)
RICH = Completion(
    text="a\ud800 é",
    stop_reason=StopReason.TOOL_CALLS,
    reasoning="because",
    tool_calls=({"id": "1", "function": {"name": "f", "arguments": "{}"}},),
    prompt_token_ids=(1, 2),
    token_ids=(3, 4),
    logprobs=(-0.1, -2.0),
    num_prompt_tokens=2,
    num_tokens=2,
)


def asking(text: str) -> Prompt:
    message: Message = {"role": "user", "content": text}
    return [message]


def numbered(text: str) -> ScriptedEngine:
    """Say `text` each time, with a number of tokens that no other completion has."""
    numbers = count(1)

    def rule(_prompt: Prompt, _params: SamplingParams) -> Completion:
        return Completion(text, StopReason.STOP, num_tokens=next(numbers))

    return ScriptedEngine(rule)


async def test_a_recorded_completion_comes_back_whole(tmp_path: Path) -> None:
    recorder = RecordingEngine(ScriptedEngine(RICH), tmp_path / "r.jsonl")
    prompts: list[Prompt] = [asking("q"), "raw \udfff text", [1, 2, 3]]
    for prompt in prompts:
        await recorder.sample([prompt], PARAMS)
    await recorder.aclose()
    replay = open_replay(path=tmp_path / "r.jsonl")
    assert await replay.sample(prompts, PARAMS) == [RICH] * 3
    await replay.aclose()
    await replay.aclose()


async def test_samples_of_one_prompt_come_in_the_order_of_the_calls(tmp_path: Path) -> None:
    """The order in which the answers came does not matter, nor does concurrency."""
    delays = iter([0.05, 0.02, 0.0, 0.03])

    class Slow(ScriptedEngine):
        async def sample(self, prompts: object, params: object) -> list[Completion]:
            delay = next(delays)
            await asyncio.sleep(delay)
            return [Completion(f"after {delay}", StopReason.STOP)]

    recorder = RecordingEngine(Slow("unused"), tmp_path / "r.jsonl")
    first = await asyncio.gather(*(recorder.sample([asking("q")], PARAMS) for _ in range(4)))
    await recorder.aclose()
    replay = open_replay(path=tmp_path / "r.jsonl")
    again = await asyncio.gather(*(replay.sample([asking("q")], PARAMS) for _ in range(4)))
    await replay.aclose()
    assert again == first
    assert [answer[0].text for answer in first] == [f"after {d}" for d in (0.05, 0.02, 0.0, 0.03)]


async def test_seeds_find_their_samples_in_any_order(tmp_path: Path) -> None:
    recorder = RecordingEngine(numbered("x"), tmp_path / "r.jsonl")
    said = {}
    for seed in range(6):
        said[seed] = await recorder.sample([asking("q")], replace(PARAMS, seed=seed))
    await recorder.aclose()
    replay = open_replay(path=tmp_path / "r.jsonl")
    for seed in (3, 0, 5, 1, 4, 2):
        assert await replay.sample([asking("q")], replace(PARAMS, seed=seed)) == said[seed]
    await replay.aclose()


async def test_other_parameters_are_another_sample(tmp_path: Path) -> None:
    """A sample at temperature 1 is none at temperature 0."""
    recorder = RecordingEngine(ScriptedEngine("x"), tmp_path / "r.jsonl")
    await recorder.sample([asking("q")], PARAMS)
    await recorder.aclose()
    replay = open_replay(path=tmp_path / "r.jsonl")
    with pytest.raises(EngineError, match="other sampling parameters"):
        await replay.sample([asking("q")], replace(PARAMS, temperature=0.0))
    await replay.aclose()


async def test_a_failed_sample_fails_again(tmp_path: Path) -> None:
    engine = ScriptedEngine([EngineError("the server died"), "fine"])
    recorder = RecordingEngine(engine, tmp_path / "r.jsonl")
    with pytest.raises(EngineError, match="the server died"):
        await recorder.sample([asking("q")], PARAMS)
    await recorder.sample([asking("q")], PARAMS)
    await recorder.aclose()
    replay = open_replay(path=tmp_path / "r.jsonl")
    with pytest.raises(EngineError, match="the server died"):
        await replay.sample([asking("q")], PARAMS)
    assert (await replay.sample([asking("q")], PARAMS))[0].text == "fine"
    await replay.aclose()


async def test_a_recording_is_continued_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    for answer in ("one", "two"):
        recorder = RecordingEngine(ScriptedEngine(answer), path)
        await recorder.sample([asking("q")], PARAMS)
        await recorder.aclose()
        with path.open("a") as file:
            file.write('{"format": "cascade.recording/1", "torn')
    replay = open_replay(path=path)
    completions = await replay.sample([asking("q")] * 2, PARAMS)
    assert [c.text for c in completions] == ["one", "two"]
    await replay.aclose()


async def test_a_sample_lost_before_it_was_written_is_missing_and_moves_no_other(
    tmp_path: Path,
) -> None:
    path = tmp_path / "r.jsonl"
    recorder = RecordingEngine(ScriptedEngine(["one", "two"]), path)
    for _ in range(2):
        await recorder.sample([asking("q")], PARAMS)
    await recorder.aclose()
    path.write_text(path.read_text().splitlines(keepends=True)[1])
    replay = open_replay(path=path)
    with pytest.raises(EngineError, match="or fewer samples"):
        await replay.sample([asking("q")], PARAMS)
    assert (await replay.sample([asking("q")], PARAMS))[0].text == "two"
    await replay.aclose()


async def test_what_the_file_lacks_costs_a_sample_or_stops_the_run(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    recorder = RecordingEngine(ScriptedEngine("x"), path)
    await recorder.sample([asking("q")], replace(PARAMS, seed=1))
    await recorder.aclose()
    lenient, strict = open_replay(path=path), open_replay(path=path, on_missing="stop")
    with pytest.raises(EngineError, match="the prompt is not in it"):
        await lenient.sample([asking("other")], PARAMS)
    with pytest.raises(EngineError, match="not with the seed 2"):
        await lenient.sample([asking("q")], replace(PARAMS, seed=2))
    with pytest.raises(ConfigError, match="the prompt is not in it"):
        await strict.sample([asking("other")], PARAMS)
    await lenient.aclose()
    await strict.aclose()


async def test_a_run_is_replayed_from_its_trajectories(tmp_path: Path) -> None:
    """Several turns, several samples: each turn is found by the conversation before it."""
    env = TwiceEnv()
    task = env.tasks[0].id
    path = tmp_path / "t.jsonl"
    engine = numbered(env.tasks[0].reference)
    runs = [
        await rollout(env, engine, PARAMS, task_id=task, sample=i, seed=10 + i) for i in range(3)
    ]
    assert all(len(run.completions) == 2 for run in runs)
    with TrajectoryWriter(path) as writer:
        for run in runs:
            writer.write(run)
    replay: Engine = open_engine("replay", "stored", path=path)
    for i in (2, 0, 1):
        again = await rollout(env, replay, PARAMS, task_id=task, sample=i, seed=10 + i)
        assert again.completions == runs[i].completions
        assert again.messages == runs[i].messages
    await replay.aclose()


async def test_trajectories_without_seeds_are_replayed_in_their_order(tmp_path: Path) -> None:
    env = TwiceEnv()
    task = env.tasks[0].id
    path = tmp_path / "t.jsonl"
    engine = ScriptedEngine(["first", "second"])
    with TrajectoryWriter(path) as writer:
        for sample in range(2):
            writer.write(await rollout(env, engine, PARAMS, task_id=task, sample=sample))
    replay = open_replay(path=path)
    texts = []
    for seed in (7, None):
        run = await rollout(env, replay, PARAMS, task_id=task, seed=seed)
        texts.append(run.completions[0].text)
    assert texts == ["first", "second"]
    await replay.aclose()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "holds no completions"),
        ("not JSON\n", "line 1: not JSON"),
        ("[]\n", "line 1: not a JSON object"),
        ('{"format": "other/1"}\n', "line 1: .*field 'format' is 'other/1'"),
        ('{"format": "cascade.recording/1"}\n', "line 1: not a recorded completion"),
        (
            json.dumps({"format": "cascade.recording/1", "completion": {"text": "x"}}) + "\n",
            "line 1: not a recorded completion: .*stop_reason",
        ),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    tmp_path: Path, content: str, complaint: str
) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=complaint):
        open_replay(path=path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="nowhere"):
        open_replay(path=tmp_path / "nowhere.jsonl")


def test_descriptions_name_the_files(tmp_path: Path) -> None:
    recorder = RecordingEngine(ScriptedEngine("x", name="m"), tmp_path / "r.jsonl")
    assert recorder.describe()["recorded_to"] == str(tmp_path / "r.jsonl")
    assert (recorder.name, recorder.max_concurrency) == ("m", 1024)
