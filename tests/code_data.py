"""Real packages in the packing of the data folder, and a sandbox to run their programs in."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cascade.errors import SandboxError
from cascade.sandboxes import Sandbox, open_sandbox
from cascade.verifiers.code.package_files import linked
from conftest import unavailable

__all__ = ["KINDS", "kattis_files", "opened", "read_gz"]

KINDS = ("local", "docker")


def read_gz(path: Path) -> Any:
    """Rows of a gzipped JSONL file, or the value of a gzipped JSON file."""
    text = gzip.decompress(path.read_bytes()).decode()
    if path.name.endswith(".jsonl.gz"):
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return json.loads(text)


def kattis_files(folder: Path) -> dict[str, bytes]:
    """The files of a Kattis package, from package.json, tests.jsonl.gz and submissions.jsonl.gz."""
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    files = {name: text.encode() for name, text in package.items()}
    for test in read_gz(folder / "tests.jsonl.gz"):
        files[f"data/{test['name']}.in"] = test["input"].encode()
        files[f"data/{test['name']}.ans"] = test["answer"].encode()
    for submission in read_gz(folder / "submissions.jsonl.gz"):
        name = f"submissions/{submission['expected']}/{submission['file']}"
        files[name] = submission["source"].encode()
    return dict(linked(files))


@contextlib.contextmanager
def opened(kind: str, **settings: Any) -> Iterator[Sandbox]:
    """An open sandbox; the test skips where this machine has none of that kind."""
    reason = ""
    with warnings.catch_warnings():
        # docker-py drops its socket unclosed where no engine answers.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            sandbox = open_sandbox(
                kind, **{"workers": 2, "spare": False, "silence_seconds": 120, **settings}
            )
        except SandboxError as error:
            reason = str(error).splitlines()[0]
        gc.collect()
    if reason:
        unavailable(f"no {kind} sandbox: {reason}")
    with sandbox:
        yield sandbox
