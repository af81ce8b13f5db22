"""The published tasks of a domain, with its policy and the guidelines of the simulated user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade.envs.rows import digest_of_rows
from cascade.envs.tasksets import Provenance, TaskSet, TaskSource
from cascade.envs.tau2.domains import find_domain, read_json
from cascade.envs.tau2.judging import check_reference
from cascade.envs.tau2.user import scenario_text
from cascade.errors import DataError, DataNotFoundError
from cascade.types import Message, Task

__all__ = ["Tau2Source", "tau2_task"]

_SYSTEM = """<instructions>
You are a customer service agent that helps the user according to the <policy> provided below.
In each turn you can either:
- Send a message to the user.
- Make a tool call.
You cannot do both at the same time.

Try to be helpful and always follow the policy. Always make sure you generate valid JSON only.
</instructions>
<policy>
{policy}
</policy>"""
"""The published prompt of the agent: sierra-research/tau2-bench at a2c0247, llm_agent.py."""


def tau2_task(row: Mapping[str, Any], domain: str, policy: str, guidelines: str) -> Task:
    """Read a published task.

    Raises:
        DataError: a field is missing, or the reward depends on more than data base and messages.
    """
    criteria, scenario = row.get("evaluation_criteria"), row.get("user_scenario")
    if not isinstance(criteria, Mapping) or not isinstance(scenario, Mapping):
        raise DataError("a task of τ²-bench has the fields evaluation_criteria and user_scenario")
    reference = {
        "domain": domain,
        "actions": criteria.get("actions") or [],
        "communicate_info": criteria.get("communicate_info") or [],
        "reward_basis": criteria.get("reward_basis") or ["DB", "COMMUNICATE"],
        "user": {"guidelines": guidelines, "scenario": scenario_text(scenario)},
    }
    check_reference(reference)
    system: Message = {"role": "system", "content": _SYSTEM.format(policy=policy.strip())}
    tools = find_domain(domain).toolbox.declarations()
    return Task(str(row["id"]), (system,), reference, tools, {"domain": domain})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tau2Source(TaskSource):
    """The tasks of one domain, from a checkout or from a published file of results.

    Looked for below the data folder: ``tau2/domains/NAME/tasks.json`` with ``policy.md`` beside it
    and ``tau2/user_simulator/simulation_guidelines.md`` (the folder ``data`` of tau2-bench; tasks
    since its version 1.0 have assertions in words, which nothing here judges), then `files`, each
    a file of results, which holds all three.
    """

    domain: str

    def load(self, data_dir: Path | None = None) -> TaskSet:
        """Load the tasks.

        Raises:
            DataNotFoundError: they are in none of these places.
            DataError: a task that cannot be judged here.
        """
        rows, policy, guidelines, origin = self._published(data_dir)
        if self.size is not None and len(rows) != self.size:
            raise DataError(f"{self.name} has {self.size} tasks, {origin} holds {len(rows)}")
        tasks = []
        for row in rows:
            try:
                tasks.append(tau2_task(row, self.domain, policy, guidelines))
            except DataError as error:
                raise DataError(f"{origin}, task {row.get('id')!r}: {error}") from error
        provenance = Provenance(origin, digest_of_rows(rows), len(rows), self.licence)
        return TaskSet(self.name, tuple(tasks), provenance)

    def _published(self, data_dir: Path | None) -> tuple[list[Any], str, str, str]:
        looked = "nowhere: no data folder was given"
        if data_dir is not None:
            folder = data_dir / "tau2" / "domains" / self.domain
            if (folder / "tasks.json").is_file():
                guidelines = data_dir / "tau2/user_simulator/simulation_guidelines.md"
                return (
                    read_json(folder / "tasks.json"),
                    _text(folder / "policy.md"),
                    _text(guidelines),
                    str(folder),
                )
            paths = [data_dir / name for name in self.files]
            for path in paths:
                if path.is_file():
                    found = read_json(path)
                    info = found["info"]
                    return (
                        found["tasks"],
                        info["environment_info"]["policy"],
                        info["user_info"]["global_simulation_guidelines"],
                        str(path),
                    )
            looked = "; ".join(map(str, (folder / "tasks.json", *paths)))
        raise DataNotFoundError(
            f"the tasks of τ²-bench's domain {self.domain!r} are not on this machine (looked at: "
            f"{looked}). Put the folder data/tau2 of sierra-research/tau2-bench into the data "
            "folder (--data-dir, or CASCADE_DATA)"
        )


def _text(path: Path) -> str:
    if not path.is_file():
        raise DataNotFoundError(f"there is no file {str(path)!r}")
    return path.read_text(encoding="utf-8")
