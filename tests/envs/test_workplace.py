"""The office: its tools, and its tasks, each of which proves itself."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections import Counter
from typing import Any

import pytest

from cascade.envs.workplace import (
    OFFICE,
    Employee,
    judge_calls,
    office,
    workplace_task,
    workplace_tasks,
)
from cascade.envs.workplace.tasks import DIFFICULTIES
from cascade.errors import ConfigError
from cascade.types import Task
from cascade.verifiers.tools import Call

TASKS = workplace_tasks(300)


def gold(task: Task) -> list[Call]:
    return [Call(call["name"], call["arguments"]) for call in task.reference["calls"]]


def ask(name: str, **arguments: Any) -> Any:
    result = OFFICE.call(office(), name, arguments)
    assert not result.failed, result.text
    return json.loads(result.text)


def test_there_are_at_least_25_tools_over_seven_tables() -> None:
    assert len(OFFICE.names) >= 25
    for declared in OFFICE.declarations():
        function = declared["function"]
        assert function["description"].endswith(".")
        for schema in function["parameters"]["properties"].values():
            assert schema["description"].endswith(".")


def test_gold_calls_earn_the_reward_and_doing_nothing_does_not() -> None:
    for task in TASKS:
        assert judge_calls(task.reference, gold(task)).reward == 1
        assert judge_calls(task.reference, []).reward == 0


def test_a_call_left_out_or_made_twice_costs_the_reward_where_it_changes_a_table() -> None:
    looking = ("find", "search", "read", "count", "average", "visits")
    changing = {name for name in OFFICE.names if not name.startswith(looking)}
    making = {name for name in changing if name.startswith(("send", "create", "add", "reply", "f"))}
    for task in TASKS:
        calls = gold(task)
        for index, call in enumerate(calls):
            if call.name in changing:
                shorter = [*calls[:index], *calls[index + 1 :]]
                assert judge_calls(task.reference, shorter).reward == 0
            if call.name in making:
                assert judge_calls(task.reference, [*calls, call]).reward == 0


def test_look_ups_and_failures_cost_nothing() -> None:
    """The way does not count, only where the tables end."""
    for task in TASKS[:50]:
        lost = [Call("read_email", {"email_id": "none"}), Call("no_tool", {})]
        detour = [
            Call("search_emails", {}),
            *lost,
            *gold(task),
            Call("find_employee", {"name": "a"}),
        ]
        assert judge_calls(task.reference, detour).reward == 1


def test_every_tool_that_is_needed_is_offered_among_others() -> None:
    for task in TASKS:
        offered = {tool["function"]["name"] for tool in task.tools}
        needed = {call.name for call in gold(task)}
        assert needed < offered
        assert len(offered - needed) >= 4


def test_tasks_have_one_to_eight_calls_by_difficulty() -> None:
    seen = Counter(len(gold(task)) for task in TASKS)
    assert set(seen) == set(range(1, 9))
    for task in TASKS:
        fewest, most = DIFFICULTIES[task.metadata["difficulty"]]
        assert fewest <= len(gold(task)) <= most


def test_a_thousand_tasks_are_distinct_and_the_splits_share_none() -> None:
    train = {task.messages[-1]["content"] for task in workplace_tasks(1_000)}
    assert len(train) == 1_000
    worlds = {(t.messages[-1]["content"], t.reference["world"]) for t in workplace_tasks(1_000)}
    held_out = workplace_tasks(200, split="test")
    assert not worlds & {(t.messages[-1]["content"], t.reference["world"]) for t in held_out}


def test_tasks_are_the_same_on_any_machine() -> None:
    """Not even PYTHONHASHSEED matters."""
    code = (
        "import json; from cascade.envs.workplace import workplace_task as t;"
        "print(json.dumps([t(i, difficulty=1 + i % 5).reference for i in range(10)]))"
    )
    command = [sys.executable, "-c", code]
    outputs = {
        subprocess.run(
            command, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    here = [workplace_task(i, difficulty=1 + i % 5).reference for i in range(10)]
    assert json.loads(outputs.pop()) == here


def test_unknown_difficulties_and_splits_are_errors() -> None:
    with pytest.raises(ConfigError):
        workplace_task(0, difficulty=9)
    with pytest.raises(ConfigError):
        workplace_task(0, split="dev")  # type: ignore[arg-type]


def test_first_names_are_unique_so_that_requests_are_clear() -> None:
    for seed in range(8):
        people = office(seed).table(Employee).values()
        for person in people:
            first = person.name.split()[0].casefold()
            assert sum(first in other.name.casefold() for other in people) == 1


def test_searches_are_pages_in_a_stated_order() -> None:
    first = ask("search_emails", folder="inbox")
    assert len(first["rows"]) == 10 < first["total"]
    moments = [row["sent_at"] for row in first["rows"]]
    assert moments == sorted(moments, reverse=True)
    second = ask("search_emails", folder="inbox", page=2)
    assert second["rows"][0]["sent_at"] <= moments[-1]
    assert ask("search_tickets", board="Website", column="Doing")["total"] < 90


def test_free_slots_do_not_touch_meetings() -> None:
    day = ask("search_events", first_day="2026-03-13")["rows"][0]["start"][:10]
    busy = {row["start"] for row in ask("search_events", first_day=day, last_day=day)["rows"]}
    free = ask("find_free_slots", day=day)
    assert busy
    assert not busy & set(free)
    assert all("09:00" <= slot[11:] <= "17:30" for slot in free)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("send_email", {"recipient": "x@y.z", "subject": "a", "body": "b"}),
        ("create_event", {"title": "a", "participant": "PERSON", "start": "2026-03-16 17:45"}),
        ("create_event", {"title": "a", "participant": "PERSON", "start": "2026-02-30 10:00"}),
        ("create_event", {"title": "a", "participant": "PERSON", "start": "tomorrow"}),
        ("move_ticket", {"ticket_id": "t0001", "column": "Nowhere"}),
        ("search_emails", {"page": 0}),
        ("count_visits", {"first_day": "2026-03-02", "last_day": "2026-03-01"}),
        ("average_visit_seconds", {"first_day": "2020-01-01", "last_day": "2020-01-02"}),
        ("read_visit", {"visit_id": "v"}),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    name: str, arguments: dict[str, Any]
) -> None:
    tables = office()
    person = next(iter(tables.table(Employee).values())).email
    given = {key: person if value == "PERSON" else value for key, value in arguments.items()}
    assert OFFICE.call(tables, name, given).failed
    assert tables.difference(office()) is None


def test_episodes_leave_no_memory_behind() -> None:
    """Four hundred here; the benchmark runs ten thousand."""
    tasks = TASKS[:20]
    for task in tasks:
        judge_calls(task.reference, gold(task))
    tracemalloc.start()
    for index in range(400):
        task = tasks[index % len(tasks)]
        judge_calls(task.reference, gold(task))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 500_000
