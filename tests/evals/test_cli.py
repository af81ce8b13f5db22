"""The command line itself."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from cascade.evals.task import task_names


def test_list_names_every_suite_and_task(eval_main: Any) -> None:
    code, out, _ = eval_main("list")
    assert code == 0
    assert "reasoning" in out
    for name in task_names():
        assert name in out
    _, out, _ = eval_main("list", "--json")
    listed = json.loads(out)
    assert set(listed["tasks"]) == set(task_names())


def test_show_prints_source_licence_protocol_and_published_numbers(eval_main: Any) -> None:
    code, out, _ = eval_main("show", "aime25")
    assert code == 0
    for part in ("MathArena/aime_2025", "licence", "samples: 64", "max_tokens: 131072", "92.4",
                 "arXiv:2603.19220", "temperature: 1.0"):  # fmt: skip
        assert part in out
    assert json.loads(eval_main("show", "aime25", "--json")[1])["protocol"]["samples"] == 64


def test_no_arguments_print_the_help(eval_main: Any) -> None:
    code, out, _ = eval_main()
    assert code == 0
    assert "--suite reasoning --mini" in out


@pytest.mark.parametrize("arguments", [("--sweet", "x"), ("rescore",), ("compare", "a"), ("lst",)])
def test_wrong_usage_is_exit_code_2(eval_main: Any, arguments: tuple[str, ...]) -> None:
    assert eval_main(*arguments)[0] == 2


def test_the_command_line_loads_neither_torch_nor_transformers() -> None:
    """Evaluation against a server works where torch is not installed."""
    code = (
        "import sys; from cascade.evals.cli import main; main(['list']); "
        "import cascade.evals.run, cascade.evals.rescore; "
        "print(sorted({'torch', 'transformers', 'vllm', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
