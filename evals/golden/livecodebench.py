"""LiveCodeBench: the published grades of o1-mini by window of dates, and by difficulty."""

from collections.abc import Sequence
from pathlib import Path

from cascade.evals.rescore import RescoreConfig, rescore
from cascade.evals.verify import Expected, GoldenSet
from cascade.evals.where import condition_of

_WINDOWS = {
    "all": (None, 880, 68.41), "since 2024-05": ("2024-05-01", 404, 57.92),
    "since 2024-08": ("2024-08-01", 279, 51.97), "since 2024-10": ("2024-10-01", 166, 49.40),
}  # fmt: skip


def _windows(data_dir: Path, files: Sequence[Path]) -> dict[str, float]:
    """Score and number of problems of every window; difficulties of the published one."""
    numbers: dict[str, float] = {}
    for name, (start, _, _) in _WINDOWS.items():
        where = () if start is None else (condition_of(f"contest_date>={start}"),)
        result = rescore(
            RescoreConfig(
                task="counted", format="livecodebench:graded", outputs=files, where=where,
                out=Path("/dev/null"),
            )
        )  # fmt: skip
        assert result.summary.score is not None
        numbers[name] = result.summary.score
        numbers[f"{name}, problems"] = result.summary.problems
    task = rescore(
        RescoreConfig(
            task="livecodebench_v5", format="livecodebench:graded", outputs=files,
            out=Path("/dev/null"),
        )
    )  # fmt: skip
    numbers["complete"] = float(task.complete)
    for name, group in task.summary.groups.items():
        numbers[name] = group["score"]
        numbers[f"{name}, problems"] = group["problems"]
    return numbers


SETS = (
    GoldenSet(
        name="livecodebench_o1/windows",
        source="LiveCodeBench/submissions at 4d04b02, O1-Mini-2024-09-12: graded_list",
        files=("livecodebench_o1/O1-Mini-2024-09-12.eval_all.json.gz",),
        measure=_windows,
        expected=(
            *(
                expected
                for name, (_, problems, score) in _WINDOWS.items()
                for expected in (
                    Expected(name, score, 0.005), Expected(f"{name}, problems", problems)
                )
            ),
            Expected("complete", 1),
            Expected("easy", 91.04, 0.005), Expected("easy, problems", 67),
            Expected("medium", 67.42, 0.005), Expected("medium, problems", 89),
            Expected("hard", 19.51, 0.005), Expected("hard, problems", 123),
        ),
    ),
)  # fmt: skip
