"""Sends the runner's source to a bare interpreter, so that it always has the client's version."""

from __future__ import annotations

import functools
import importlib.util
import json
import marshal
import struct
from importlib.resources import files
from typing import Any

__all__ = ["LOADER", "OPTIONS", "payload"]

LOADER = """
import sys, os, json, marshal, struct, importlib.util, importlib.machinery
def take(n):
    parts = []
    while n:
        data = os.read(0, min(n, 1 << 20))
        if not data: os._exit(0)
        parts.append(data); n -= len(data)
    return b"".join(parts)
head = json.loads(take(struct.unpack("<I", take(4))[0]))
native = head["magic"] == importlib.util.MAGIC_NUMBER.hex()
codes = {}
for name, source_size, code_size in head["modules"]:
    source, code = take(source_size), take(code_size)
    codes[name] = (code if native else source, name)
blobs = [take(n) for n in head["blobs"]]
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in codes or name in ("cascade", "cascade.sandboxes"):
            package = name in ("cascade", "cascade.sandboxes", "cascade.sandboxes.inside")
            return importlib.machinery.ModuleSpec(name, Finder, is_package=package)
    @staticmethod
    def create_module(spec): return None
    @staticmethod
    def exec_module(module):
        if module.__name__ not in codes: return
        code, name = codes[module.__name__]
        if native: code = marshal.loads(code)
        else: code = compile(code, "<cascade " + name + ">", "exec", dont_inherit=True)
        exec(code, module.__dict__)
sys.meta_path.insert(0, Finder)
module = importlib.import_module("cascade.sandboxes.inside." + head["start"])
module.main(head["config"], blobs)
"""
"""What the interpreter is started with (`python3 OPTIONS -c LOADER`); needs Python 3.11."""

OPTIONS = ("-P", "-s", "-S")
"""No folder of the caller on the path, no user's packages, no start-up files."""


@functools.cache
def _modules() -> list[tuple[str, bytes, bytes]]:
    """Name, source and compiled code of every module that runs inside."""
    found = []
    package = files("cascade.sandboxes.inside")
    for item in sorted(package.iterdir(), key=lambda item: item.name):
        if item.name.endswith(".py"):
            stem = item.name[:-3]
            base = "cascade.sandboxes.inside"
            name = base if stem == "__init__" else f"{base}.{stem}"
            source = item.read_bytes()
            code = compile(source, f"<cascade {name}>", "exec", dont_inherit=True, optimize=2)
            found.append((name, source, marshal.dumps(code)))
    return found


def payload(start: str, config: dict[str, Any], blobs: list[bytes]) -> bytes:
    """Return what the loader reads: modules, the configuration, and other files.

    Args:
        start: module of `cascade.sandboxes.inside` whose `main` is called.
        config: its first argument.
        blobs: its second argument.
    """
    modules = _modules()
    head = {
        "magic": importlib.util.MAGIC_NUMBER.hex(),
        "modules": [(name, len(source), len(code)) for name, source, code in modules],
        "blobs": [len(blob) for blob in blobs],
        "config": config,
        "start": start,
    }
    text = json.dumps(head).encode()
    bodies = [part for _, source, code in modules for part in (source, code)]
    return b"".join([struct.pack("<I", len(text)), text, *bodies, *blobs])
