"""Repair: a file with a bug, an answer in SEARCH/REPLACE blocks, tests that decide."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from typing import Any, ClassVar

from cascade.envs.base import Tasks, TextEnv, Turn
from cascade.envs.code.shared import Lease, Owned
from cascade.envs.repair.edits import Edit, EditError, apply_edits, find_edits, render_edit
from cascade.envs.repair.judging import PatchJudge, ProgramTests
from cascade.errors import DataError
from cascade.sandboxes import Sandbox
from cascade.types import Message, Task, Verdict
from cascade.verifiers.code import CodeVerifier

__all__ = ["RepairEnv"]


class RepairEnv(TextEnv):
    """Source files that fail a test; the answer's SEARCH/REPLACE blocks are applied and tested.

    A task's reference is ``{"files": {path: text}, …}`` and what its `PatchJudge` needs:
    ``entry`` and ``problem`` for the default one. The prompt must show every file: edits of files
    that a model has not seen are hopeless. An answer without a block is NO_ANSWER. One whose blocks
    do not apply is WRONG, and nothing is run: an unchanged program must not pass old tests.

    Args:
        tasks: see `TextEnv`; generated one-line bugs if not given.
        judge: judges the repaired files; the tests of the task's problem if not given.
        sandbox: see `cascade.envs.code.env.CodeEnv`; used by the default judge.
        sandbox_settings: likewise.
        data_dir, render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = "mini_repair"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        judge: PatchJudge | None = None,
        sandbox: Sandbox | str = "auto",
        sandbox_settings: Mapping[str, Any] | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, render_mode=render_mode)
        self._place: Lease | Owned
        if isinstance(sandbox, Sandbox):
            self._place = Owned(sandbox)
        else:
            self._place = Lease(sandbox, sandbox_settings or {})
        # An environment that nobody closes gives its share back when it is collected.
        weakref.finalize(self, self._place.close).atexit = False
        place = self._place
        self.judge: PatchJudge = judge or ProgramTests(lambda: CodeVerifier(place.sandbox()))

    def begin(self, task: Task) -> tuple[Message, ...]:
        """Show the files and the report.

        Raises:
            DataError: the task has no files, or its prompt does not show one of them.
        """
        shown = "\n".join(str(message["content"]) for message in task.messages)
        for path, text in _files(task).items():
            if text.strip() not in shown:
                raise DataError(
                    f"task {task.id!r}: the prompt does not show the file {path!r}; a model cannot "
                    "edit what it has not seen"
                )
        return task.messages

    def respond(self, text: str) -> Turn:
        """Apply the edits, and test only what they made."""
        try:
            edits = find_edits(text)
            if not edits:
                return Turn(verdict=Verdict.no_answer("no SEARCH/REPLACE block"))
            files = apply_edits(_files(self.task), edits)
        except EditError as error:
            return Turn(verdict=Verdict.wrong(None, str(error)))
        return Turn(verdict=self.judge(self.task.reference, files))

    def responds_quickly(self, text: str) -> bool:
        """Whether there is nothing to run."""
        return "<<<<<<< SEARCH" not in text

    def close(self) -> None:
        """Give the sandbox back."""
        self._place.close()
        super().close()

    def oracle_response(self, task: Task) -> str | None:
        """Return the stored repair, if there is one."""
        return task.metadata.get("solution")

    def wrong_response(self, task: Task) -> str | None:
        """Return the stored repair with a program that fails instead."""
        edit = _stored(task)
        if edit is None:
            return None
        indent = edit.search[0][: len(edit.search[0]) - len(edit.search[0].lstrip())]
        return render_edit(Edit(edit.path, edit.search, (f"{indent}raise ValueError",)))


def _files(task: Task) -> dict[str, str]:
    given = task.reference.get("files") if isinstance(task.reference, Mapping) else None
    if not isinstance(given, Mapping) or not given:
        raise DataError(f"task {task.id!r}: reference['files'], path -> text, is missing or empty")
    return {str(path): str(text) for path, text in given.items()}


def _stored(task: Task) -> Edit | None:
    """Return the first block of the stored repair."""
    given = task.metadata.get("solution")
    return None if given is None else find_edits(str(given))[0]
