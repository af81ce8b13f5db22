"""Code: pass@k of published HumanEval samples, and SWE-bench's grading of test logs."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cascade.evals import stats
from cascade.evals.verify import Expected, GoldenSet
from cascade.verifiers.test_logs import grade_tests, parse_pytest

_PASS_AT = {1: 22.13, 2: 30.82, 5: 42.06, 10: 50.44, 100: 74.39}
_LOGS = "swebench_grading/swesmith_logs/run_evaluation"
_INSTANCES = (
    "getmoto__moto.694ce1f4.pr_7331/{}",
    "pandas-dev__pandas.95280573.pr_53652/{}",
    "pydantic__pydantic.acb0f10f.pr_8316/{}",
    "pandas-dev__pandas.95280573.pr_53856/{}.gz",
)


def _text(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()


def _pass_at_k(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """pass@k of the labels of 164 × 100 programs."""
    labels: Any = json.loads(_text(files[0]))
    rows = labels.values() if isinstance(labels, dict) else labels
    scores = [[float(mark) for mark in row] for row in rows]
    numbers = {f"pass@{k}": 100 * stats.pass_at_k(scores, k) for k in _PASS_AT}
    return {**numbers, "programs": sum(map(len, scores))}


def _graded(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """Logs of tests against the reports that were made of them."""
    equal = resolved = 0
    for log, report_path in zip(files[::2], files[1::2], strict=True):
        report = json.loads(_text(report_path))
        lists = {
            kind: (*status["success"], *status["failure"])
            for kind, status in report["tests_status"].items()
        }
        done, *grades = grade_tests(
            parse_pytest(_text(log)), lists["FAIL_TO_PASS"], lists["PASS_TO_PASS"]
        )
        resolved += done
        same = [
            set(found.passed) == set(report["tests_status"][kind]["success"])
            for kind, found in zip(("FAIL_TO_PASS", "PASS_TO_PASS"), grades, strict=True)
        ]
        equal += all(same) and done == report["resolved"]
    return {"instances": len(files) // 2, "resolved": resolved, "equal": equal}


def _named(report: str) -> tuple[str, str]:
    return f"{_LOGS}/{report.format('test_output.txt')}", f"{_LOGS}/{report.format('report.json')}"


SETS = (
    GoldenSet(
        name="codet_humaneval_n100/pass@k",
        source="microsoft/CodeT at 35f54d6, programs of CodeGen-16B at T 0.8, labels of a run here",
        files=("codet_humaneval_n100/our_labels.json.gz",),
        measure=_pass_at_k,
        expected=(
            *(Expected(f"pass@{k}", score, 0.005) for k, score in _PASS_AT.items()),
            Expected("programs", 16_400),
        ),
    ),
    GoldenSet(
        name="swebench_grading/logs",
        source="SWE-bench/SWE-smith at cf2e649, tests/test_logs",
        files=tuple(path for report in _INSTANCES for path in _named(report)),
        measure=_graded,
        expected=(Expected("instances", 4), Expected("resolved", 3), Expected("equal", 4)),
    ),
)
