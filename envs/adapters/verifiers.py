"""Environments of ours as task sets of Prime Intellect's verifiers 0.4 (and so of prime-rl).

A module of yours, on the path under the name that verifiers shall know it by::

    from cascade.envs.adapters.verifiers import plugin

    CascadeEnv, CascadeTaskset, CascadeHarness = plugin("cascade/Math-v0", tasks="gsm8k")
    __all__ = ["CascadeEnv", "CascadeHarness", "CascadeTaskset"]

Then ``vf-eval my-math --model NAME --client.base-url URL`` evaluates it. The episode is run by
`cascade.envs.rollout`, in the process of verifiers, through the endpoint that verifiers records;
a FAULT is an error of the rollout, never a reward of 0.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from cascade.envs.base import TextEnv
from cascade.envs.engines.http import open_http
from cascade.envs.registry import make_env
from cascade.envs.rollout import rollout
from cascade.errors import EngineError
from cascade.types import SamplingParams, Trajectory

__all__ = ["plugin"]

_SERVER_DECIDES = {"max_tokens": None, "temperature": None, "top_p": None}
"""Sampling is a matter of the run's own configuration, which verifiers writes into requests."""


def plugin(env_id: str, **env_options: Any) -> tuple[type, type, type]:
    """Return what a plug-in of verifiers exports: its environment, task set and harness.

    Args:
        env_id: the environment, such as "cascade/Math-v0".
        env_options: of the environment: `tasks`, `data_dir`, …

    Raises:
        UnknownNameError: no such environment.
        ModuleNotFoundError: verifiers is not installed (``pip install cascade-rl[outside]``).
    """
    vf: Any = import_module("verifiers.v1")
    tasks = make_env(env_id, **env_options).tasks

    def make() -> TextEnv:
        return make_env(env_id, **{**env_options, "tasks": tasks})

    class CascadeTask(vf.Task[vf.TaskData, vf.State, vf.TaskConfig]):  # type: ignore[misc]
        """A task of ours; `data.id` is its id."""

        @property
        def key(self) -> str:
            """The task's id, which is unique in its set."""
            return str(self.data.id)

        @vf.reward  # type: ignore[untyped-decorator]
        async def reward(self, trace: Any) -> float:
            """Return the episode's reward, in [0, 1]."""
            return float(trace.info["reward"])

    class CascadeTaskset(vf.Taskset[CascadeTask, vf.TasksetConfig]):  # type: ignore[misc]
        """The environment's tasks, in order."""

        def load(self) -> Any:
            """Yield the tasks."""
            for task in tasks:
                prompt = [_message(vf, message) for message in task.messages]
                yield CascadeTask(vf.TaskData(id=task.id, name=task.id, prompt=prompt))

    class CascadeHarness(vf.Harness[vf.HarnessConfig]):  # type: ignore[misc]
        """Plays the episode; no program is started, so no container is needed."""

        APPENDS_SYSTEM_PROMPT: ClassVar[bool] = True
        EXECUTES_CODE: ClassVar[bool] = False
        NEEDS_CONTAINER: ClassVar[bool] = False

        async def launch(
            self, ctx: Any, trace: Any, runtime: Any, endpoint: str, secret: str,
            mcp_urls: dict[str, str], data: Any,
        ) -> Any:  # fmt: skip
            """Run one episode against `endpoint`."""
            played = await _play(make(), env_id, str(data.id), ctx.model, endpoint, secret)
            verdict = played.verdict
            trace.info["reward"] = played.reward
            trace.info["verdict"] = {"status": verdict.status.value, "reason": verdict.reason}
            return vf.ProgramResult(exit_code=0, stdout=verdict.reason, stderr="")

    class CascadeEnvConfig(vf.SingleAgentEnvConfig):  # type: ignore[misc]
        """One agent, on this machine: nothing of it runs in a sandbox."""

        agent: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())

    class CascadeEnv(vf.Env[CascadeEnvConfig]):  # type: ignore[misc]
        """One agent plays the task once."""

        async def run(self, task: Any, agents: Any) -> None:
            """Play `task`."""
            await agents.agent.run(task)

    return CascadeEnv, CascadeTaskset, CascadeHarness


def _message(vf: Any, message: Any) -> Any:
    kind = {"system": vf.SystemMessage, "user": vf.UserMessage, "assistant": vf.AssistantMessage}
    return kind[message["role"]](content=message["content"])


async def _play(
    env: TextEnv, env_id: str, task_id: str, model: str, endpoint: str, secret: str
) -> Trajectory:
    """Run the episode.

    Raises:
        EngineError: the verdict is a FAULT; verifiers then records an error and no reward.
    """
    engine = open_http(model, base_url=endpoint, api_key=secret, extra_body=_SERVER_DECIDES)
    try:
        played = await rollout(env, engine, SamplingParams(), task_id=task_id, env_id=env_id)
    finally:
        await engine.aclose()
        env.close()
    if played.verdict.is_fault:
        raise EngineError(f"FAULT: {played.verdict.reason}")
    return played
