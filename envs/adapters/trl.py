"""TRL's GRPOTrainer on our environments (TRL 1.16).

::

    from trl import GRPOConfig, GRPOTrainer
    from cascade.envs.adapters.trl import grpo_arguments

    arguments = grpo_arguments("cascade/Math-v0", tasks="gsm8k")
    GRPOTrainer("Qwen/Qwen3-8B", args=GRPOConfig("out"), **arguments).train()

Environments without tools become a data set and a reward function; where tasks offer tools, each
tool becomes a method that the model can call (TRL's `environment_factory`). A FAULT becomes None,
which TRL leaves out of its group's mean.
"""

from __future__ import annotations

import asyncio
import json
import keyword
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any, Literal, Optional

from cascade.envs.adapters.dictated import DictatedEpisode, in_background, judge
from cascade.envs.base import TextEnv
from cascade.envs.registry import make_env
from cascade.envs.tasksets import TaskSet
from cascade.errors import ConfigError
from cascade.types import Message, Task
from cascade.verifiers import tools

__all__ = ["grpo_arguments"]

_CONCURRENCY = 16
_PYTHON_TYPES: Mapping[str, type] = {
    "string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict,
}  # fmt: skip


def grpo_arguments(
    env_id: str, *, assistant_prefix: str = "", **env_options: Any
) -> dict[str, Any]:
    r"""Return `train_dataset`, `reward_funcs` (and `environment_factory`) for `GRPOTrainer`.

    Args:
        env_id: the environment, such as "cascade/Math-v0".
        assistant_prefix: what the chat template opens the assistant's message with ("<think>\n"):
            TRL hands on only what was sampled, and a verifier must see an unfinished reasoning.
        env_options: of the environment: `tasks`, `data_dir`, …

    Raises:
        UnknownNameError: no such environment.
        ConfigError: it takes several messages but offers no tools, which TRL's loop cannot run.
    """
    import datasets

    env = make_env(env_id, **env_options)
    tasks = env.tasks

    def make() -> TextEnv:
        return make_env(env_id, **{**env_options, "tasks": tasks})

    rows: list[dict[str, Any]] = [
        {"prompt": [_plain(m) for m in task.messages], "task": task.id} for task in tasks
    ]
    arguments: dict[str, Any] = {}
    if any(task.tools for task in tasks):
        classes = _tool_classes(env_id, make, tasks, assistant_prefix, env.max_turns > 1)
        for row, task in zip(rows, tasks, strict=True):
            row["environment"] = _tool_key(task, classes)
        arguments["environment_factory"] = {cls.__name__: cls for cls in classes.values()}
        arguments["reward_funcs"] = _reward_of_environments(env_id)
    elif env.max_turns > 1:
        raise ConfigError(
            f"{env_id} takes up to {env.max_turns} messages without declared tools, but TRL's loop "
            "only goes on after calls of tools: set it to one message an episode"
        )
    else:
        arguments["reward_funcs"] = _reward_of_texts(env_id, make, assistant_prefix)
    return {"train_dataset": datasets.Dataset.from_list(rows), **arguments}


def _plain(message: Message) -> dict[str, str]:
    return {"role": message["role"], "content": message["content"]}


def _reward_of_texts(env_id: str, make: Callable[[], TextEnv], prefix: str) -> Callable[..., Any]:
    """One answer, one verdict; the episodes of a batch run at the same time."""
    idle: list[TextEnv] = []

    async def reward(
        completions: Sequence[Any], task: Sequence[str], **columns: Any
    ) -> list[float | None]:
        slots = asyncio.Semaphore(_CONCURRENCY)

        async def one(completion: Any, task_id: str) -> float | None:
            async with slots:
                env = idle.pop() if idle else make()
                trajectory = await judge(env, task_id, prefix + _text(completion), env_id=env_id)
                idle.append(env)
            return None if trajectory.verdict.is_fault else trajectory.reward

        return await asyncio.gather(*map(one, completions, task))

    reward.__name__ = env_id
    return reward


def _text(completion: Any) -> str:
    """Return the assistant's (last) message as text, calls that TRL took out put back."""
    if isinstance(completion, str):
        return completion
    message = completion[-1]
    content = str(message.get("content") or "")
    calls = [
        tools.Call(call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    ]
    return f"{content}\n{tools.render_calls(calls, 'nemotron')}" if calls else content


def _tool_key(task: Task, classes: Mapping[str, type[_ToolEnvironment]]) -> str:
    return classes[json.dumps(task.tools)].__name__


def _tool_classes(
    env_id: str, make: Callable[[], TextEnv], tasks: TaskSet, prefix: str, several_turns: bool
) -> dict[str, type[_ToolEnvironment]]:
    """Return a class for each different set of tools, keyed by its JSON."""
    classes: dict[str, type[_ToolEnvironment]] = {}
    base = _ToolEnvironment if several_turns else _DeclaredTools
    for task in tasks:
        key = json.dumps(task.tools)
        if key not in classes:
            name = f"{env_id}#{len(classes)}"
            methods = {m.__name__: m for m in map(_method, task.tools)}
            fields = {"_make": staticmethod(make), "_prefix": prefix, "_env_id": env_id}
            classes[key] = type(name, (base,), {**fields, **methods})
    return classes


class _ToolEnvironment:
    """What TRL drives: its public methods are the tools, added by `_tool_classes`."""

    _make: Callable[[], TextEnv]
    _prefix: str
    _env_id: str

    def __init__(self) -> None:
        self._env = self._make()
        # TRL carries out the calls of one message one by one, and has a limit of its own.
        self._env.max_turns = sys.maxsize
        self._episode: DictatedEpisode | None = None

    def reset(self, task: str, **columns: Any) -> None:
        in_background(self._begin(task))

    async def _begin(self, task_id: str) -> None:
        if self._episode is not None:
            await self._episode.abandon()
        self._episode = DictatedEpisode(self._env, task_id, env_id=self._env_id)
        await self._episode.begin()

    def _call(self, name: str, arguments: dict[str, Any]) -> str:
        assert self._episode is not None  # TRL resets before it samples
        if self._episode.trajectory is not None:
            return '{"error": "the episode is over"}'
        text = tools.render_calls([tools.Call(name, arguments)], "nemotron")
        answered = in_background(self._episode.say(text))
        return "\n".join(message["content"] for message in answered)

    def _reward(self, completion: Sequence[Mapping[str, Any]]) -> float | None:
        """Judge the episode; one that TRL cut off is judged as one whose turns are spent."""
        episode = self._episode
        assert episode is not None
        last = completion[-1]
        is_final = last["role"] == "assistant" and not last.get("tool_calls")
        if episode.trajectory is None and is_final:
            in_background(episode.say(self._prefix + str(last.get("content") or "")))
        if episode.trajectory is None:
            in_background(episode.abandon())
            return self._env.give_up().reward
        verdict = episode.trajectory.verdict
        return None if verdict.is_fault else episode.trajectory.reward


class _DeclaredTools(_ToolEnvironment):
    """Tools that are declared and never carried out: the first message is the answer."""

    def _call(self, name: str, arguments: dict[str, Any]) -> str:
        return "The call was recorded."

    def _reward(self, completion: Sequence[Mapping[str, Any]]) -> float | None:
        assert self._episode is not None
        in_background(self._episode.say(self._prefix + _text(completion[:1])))
        trajectory = self._episode.trajectory
        assert trajectory is not None  # one message ends it
        return None if trajectory.verdict.is_fault else trajectory.reward


def _reward_of_environments(env_id: str) -> Callable[..., list[float | None]]:
    def reward(
        completions: Sequence[Any], environments: Sequence[_ToolEnvironment], **columns: Any
    ) -> list[float | None]:
        return [e._reward(c) for e, c in zip(environments, completions, strict=True)]

    reward.__name__ = env_id
    return reward


def _method(tool: Mapping[str, Any]) -> Callable[..., str]:
    """Turn a declared tool into a method whose signature and docstring declare it again.

    Raises:
        ConfigError: a name of the tool cannot be a name in Python.
    """
    function = tool.get("function", tool)
    name = str(function["name"])
    schema = function.get("parameters") or {}
    required = set(schema.get("required", ()))
    lines, parameters = [], [Parameter("self", Parameter.POSITIONAL_ONLY)]
    annotations: dict[str, Any] = {"return": str}
    properties: Mapping[str, Any] = schema.get("properties", {})
    for key in sorted(properties, key=lambda key: key not in required):
        _check_name(name, key)
        annotation: Any = _annotation(properties[key])
        default: Any = Parameter.empty
        if key not in required:
            annotation, default = Optional[annotation], None  # noqa: UP045 - a runtime value
        annotations[key] = annotation
        parameters.append(
            Parameter(key, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
        lines.append(
            f"    {key}: {' '.join(str(properties[key].get('description') or key).split())}"
        )

    def call(self: _ToolEnvironment, /, **arguments: Any) -> str:
        return self._call(name, {k: v for k, v in arguments.items() if v is not None})

    _check_name(name, name)
    call.__name__ = call.__qualname__ = name
    call.__doc__ = "\n".join(
        [
            " ".join(str(function.get("description") or name).split()),
            "",
            *(["Args:"] if lines else []),
            *lines,
        ]
    )
    call.__annotations__ = annotations
    call.__signature__ = Signature(parameters, return_annotation=str)  # type: ignore[attr-defined]
    return call


def _check_name(tool: str, name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise ConfigError(
            f"tool {tool!r}: TRL calls tools as Python methods, and {name!r} cannot be a name there"
        )


def _annotation(schema: Mapping[str, Any]) -> Any:
    """Return the Python type that a JSON schema describes, as closely as TRL reads it back."""
    if schema.get("enum"):
        values = tuple(value for value in schema["enum"] if value is not None)
        chosen: Any = Literal.__getitem__(values)
        return Optional[chosen] if None in schema["enum"] else chosen  # noqa: UP045
    kind = schema.get("type", "string")
    if isinstance(kind, list):
        kinds = [k for k in kind if k != "null"]
        inner = _annotation({**schema, "type": kinds[0] if kinds else "string"})
        return Optional[inner] if "null" in kind else inner  # noqa: UP045 - a runtime value
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return list[_annotation(schema["items"])]  # type: ignore[misc]
    return _PYTHON_TYPES.get(kind, str)
