"""The local back end at each of its levels, and as an ordinary user."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cascade.errors import SandboxError
from cascade.sandboxes import open_sandbox
from cascade.sandboxes.inside import landlock
from cascade.sandboxes.toolchain import host_tools
from conftest import unavailable
from sandbox_cases.ordinary_user import run_as_nobody

ATTACKS = """
import json, os, sys
level = sys.argv[1]
from cascade.sandboxes import Case, Limits, Program, open_sandbox
limits = Limits(cpu_seconds=0.4, wall_seconds=1.5, memory_bytes=128 << 20)
programs = {
    "good": "print(sum(map(int, input().split())))",
    "loop": "while True: pass",
    "sleep": "import time; time.sleep(60)",
    "memory": "x = b'x' * (300 << 20)",
    "children": "import os, time\\nfor _ in range(6):\\n    if not os.fork():\\n        x = b'x' * (50 << 20); time.sleep(9)\\ntime.sleep(9)",
    "flood": "while True: print('x' * 9999)",
    "killer": "import os\\nfor s in (0, 9):\\n    try: os.kill(-1, s)\\n    except OSError: pass\\nprint(3)",
    "daemon": "import os, time\\nif not os.fork():\\n    os.setsid()\\n    if not os.fork(): time.sleep(60)\\n    os._exit(0)\\nos.wait(); print(3)",
    "litter": "open('left', 'w').write('x'); print(3)",
    "escape": (
        "import os, socket\\nbad = []\\n"
        "for p in ('/etc/cascade-x', '/usr/x', os.path.expanduser('~root/x'), '/var/tmp/cascade-x'):\\n"
        "    try: open(p, 'w'); bad.append(p)\\n"
        "    except OSError: pass\\n"
        "try: socket.create_connection(('1.1.1.1', 53), 0.3); bad.append('net')\\n"
        "except OSError: pass\\n"
        "try: open('/root/.bashrc').read(); bad.append('home')\\n"
        "except OSError: pass\\n"
        "try: os.kill(os.getppid(), 0); bad.append('parent') if os.getppid() else 0\\n"
        "except OSError: pass\\n"
        "print(3 if not bad else bad)"
    ),
    "c": "#include <stdio.h>\\nint main(){int a,b;scanf(\\"%d%d\\",&a,&b);printf(\\"%d\\",a+b);}",
}
with open_sandbox("local", workers=1, level=level or None, precompile=False, allow_weak=level == "weak") as box:
    found = {"isolation": str(box.isolation())}
    languages = box.languages()
    for name, source in programs.items():
        if name == "c" and "c" not in languages: continue
        report = box.judge(Program("c" if name == "c" else "python", source), [Case("1 2", "3")], limits)
        found[name] = report.status.value
        if report.retries: found[name] += " after a retry"
        again = box.judge(Program("python", "import os\\nprint(os.listdir('.'), input())"), [Case("x", "[] x")])
        found[name + " then"] = again.status.value + (again.reason if not again.accepted else "")
print(json.dumps(found))
"""  # noqa: E501 - each line is a program

RIGHT = {
    "good": {"accepted"},
    "loop": {"time_limit"},
    "sleep": {"wall_limit"},
    "memory": {"memory_limit"},
    "children": {"memory_limit"},
    "flood": {"output_limit"},
    "killer": {"accepted", "runtime_error"},
    "daemon": {"accepted"},
    "litter": {"accepted"},
    "escape": {"accepted"},
    "c": {"accepted"},
}


def run_as_root(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own, with the tests' own rights."""
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def attack(user: str, level: str) -> dict[str, str]:
    """Run the attacks in a process of their own, as the given user."""
    done = run_as_nobody(ATTACKS, level) if user == "nobody" else run_as_root(ATTACKS, level)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def check(found: dict[str, str]) -> None:
    for name, right in RIGHT.items():
        if name in found:
            assert found[name] in right, (name, found)
            assert found[name + " then"] == "accepted", (name, found)


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_namespaces_hold_for_root_and_for_an_ordinary_user(user: str) -> None:
    """With user namespaces, no privilege is needed on the machine."""
    found = attack(user, "")
    assert found["isolation"].startswith("namespaces")
    check(found)


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_landlock_holds_without_namespaces(user: str) -> None:
    """Where namespaces are forbidden, Landlock and seccomp confine, and the report says so."""
    if landlock.abi() < 6:
        unavailable("the kernel's Landlock cannot scope signals")
    found = attack(user, "landlock")
    assert found["isolation"].startswith("landlock")
    check(found)


BELOW_TMP = """
import os, sys
from cascade.errors import SandboxError
from cascade.sandboxes import Case, Program, open_sandbox
folder = sys.argv[1]
os.environ["CASCADE_CACHE"] = folder + "/cache"
os.umask(0o077)
spy = Program("python", f'''
import os
top = "/tmp/" + os.listdir("/tmp")[0]
for attack in (
    lambda: os.rename(top, "/tmp/moved"),
    lambda: os.rmdir(top),
    lambda: os.chmod(top, 0),
    lambda: open(top + "/new", "w"),
    lambda: open("{folder}/deep/shown/file", "a"),
):
    try: attack()
    except OSError: continue
    print("done")
open("/tmp/litter", "w")
print(open("{folder}/deep/shown/file").read(), os.path.exists("{folder}/deep/hidden"))
print(os.listdir("/opt/cascade/pch"), len(os.listdir("/proc/self/fd")))
''')
shown = (folder + "/deep/shown", "/usr/share")
with open_sandbox("local", workers=1, spare=False, read_only_paths=shown) as box:
    found = box.judge(spy, [Case("", "hello False ['gnu++17'] 4")])
    assert found.accepted, (found.outcomes[0].stdout, found.outcomes[0].stderr)
    source = "#include <bits/stdc++.h>\\nint main() { std::cout << 3; }"
    assert box.judge(Program("cpp17", source), [Case("", "3")]).accepted
    with box.session() as session:
        before = session.exec("find /tmp").stdout
        session.write("note", "text")
        session.reset(session.snapshot())
        assert session.read("note") == b"text"
        session.reset()
        assert session.exec("find /tmp").stdout == before
for path in ("/", "/tmp", "/dev", "relative", "/no/such/folder"):
    try: open_sandbox("local", read_only_paths=(path,))
    except SandboxError as error: assert repr(path) in str(error)
    else: raise AssertionError(path)
print("done")
"""


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_what_is_shown_may_lie_below_tmp(user: str) -> None:
    """Folders in /tmp, where a slot's own lies, are seen, and can be neither changed nor moved."""
    headers = Path(host_tools(True).headers)
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "deep/shown").mkdir(parents=True)
        (folder / "deep/shown/file").write_text("hello")
        (folder / "deep/hidden").write_text("secret")
        shutil.copytree(headers / "gnu++17", folder / "cache" / headers.name / "gnu++17")
        (folder / "cache").chmod(0o777)
        done = run_as_nobody(BELOW_TMP, name) if user == "nobody" else run_as_root(BELOW_TMP, name)
    assert done.stdout.endswith("done\n"), done


def test_weak_isolation_is_refused_unless_allowed() -> None:
    """A machine that can confine nothing runs only what its owner vouches for, and says so."""
    with pytest.raises(SandboxError, match="allow_weak"):
        open_sandbox("local", level="weak")
    with open_sandbox("local", level="weak", allow_weak=True, workers=1, spare=False) as box:
        assert box.isolation().level == "weak"


RUNTIMES = """
import json
from cascade.sandboxes import Case, Limits, Program, open_sandbox
from sandbox_cases.polyglot import SOURCES
found = {}
limits = Limits(cpu_seconds=4, wall_seconds=30, memory_bytes=192 << 20)
level = sys.argv[1] or None
with open_sandbox("local", workers=1, spare=False, precompile=False, level=level) as box:
    for name in ("java", "javascript"):
        for what in ("good", "takes too much memory"):
            if name in box.languages():
                program = Program(name, SOURCES[name].of(what))
                report = box.judge(program, [Case("1 2", "3")], limits)
                found[f"{name} {what}"] = report.status.value
print(json.dumps(found))
"""


@pytest.mark.parametrize("level", ["", "landlock"])
def test_runtimes_with_threads_run_without_a_cgroup(level: str) -> None:
    """An ordinary user's slot has no cgroup; what the JVM only reserves is no memory there."""
    if level and landlock.abi() < 6:
        unavailable("the kernel's Landlock cannot scope signals")
    path = str(Path(__file__).resolve().parent.parent)
    done = run_as_nobody(f"import sys\nsys.path.append({path!r})\n" + RUNTIMES, level)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    if not found:
        pytest.skip("this machine has neither java nor node")
    for name, status in found.items():
        assert status == ("accepted" if "good" in name else "memory_limit"), found
