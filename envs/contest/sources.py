"""Contests as folders of problem packages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cascade.envs.rows import digest_of_rows
from cascade.envs.tasksets import Provenance, TaskSet
from cascade.errors import DataError, DataNotFoundError
from cascade.types import Task

__all__ = ["PackageFolder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFolder:
    """A folder below the data folder with one package (folder or zip) a problem.

    A file ``NAME.md`` beside a package is its statement, where the package has none (CMS packages
    bring theirs as PDF).
    """

    name: str
    folder: str
    """Path below the data folder."""
    form: Literal["cms", "kattis"]
    size: int | None = None
    """Problems of the contest; another number is an error."""
    licence: str = "as the contest's organisers state"

    kind = "packages"

    @property
    def difficulty(self) -> str:
        """The form of the packages, for listings."""
        return self.form

    def load(self, data_dir: Path | None = None) -> TaskSet:
        """Read every package.

        Raises:
            DataNotFoundError: there is no such folder.
            DataError: a wrong number of packages, a problem without a statement, or a package that
                cannot be read.
        """
        place = None if data_dir is None else data_dir / self.folder
        if place is None or not place.is_dir():
            raise DataNotFoundError(
                f"task set {self.name!r} is not on this machine: put the contest's packages into "
                f"{place or f'DATA_DIR/{self.folder}'} and pass --data-dir"
            )
        paths = sorted(p for p in place.iterdir() if p.is_dir() or p.suffix == ".zip")
        if not paths or (self.size is not None and len(paths) != self.size):
            raise DataError(
                f"task set {self.name!r} has {self.size or 'some'} packages, {place} holds "
                f"{len(paths)}"
            )
        tasks = tuple(self._task(path) for path in paths)
        rows = [{"id": task.id, "statement": str(task.metadata["problem"])} for task in tasks]
        provenance = Provenance(str(place), digest_of_rows(rows), len(tasks), self.licence)
        return TaskSet(self.name, tasks, provenance)

    def _task(self, path: Path) -> Task:
        from cascade.envs.code.prompts import messages_of  # judging code takes long to load
        from cascade.verifiers.code import problem_of

        reference = {f"{self.form}_package": str(path)}
        problem = problem_of(reference)
        beside = path.with_name(path.name.removesuffix(".zip") + ".md")
        statement = problem.statement
        if beside.is_file():
            statement = beside.read_text(encoding="utf-8")
        if not statement.strip():
            raise DataError(f"{path}: no statement; write it into {beside}")
        return Task(
            problem.id, messages_of(replace(problem, statement=statement)), reference,
            metadata={**problem.metadata, "problem": statement},
        )  # fmt: skip
