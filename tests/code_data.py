"""Real packages in the derived packing of the data folder, as the package files they stand for."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

__all__ = ["kattis_files", "read_gz"]


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
    return files
