"""Programs that attack a sandbox, each with the verdicts that are right for it.

The numbers are those of the table in docs/sandbox-security.md. A program that probes for a hole
prints "held" where the sandbox held, and is judged against that output.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cascade.sandboxes import Limits, Status

A, RE, WA = Status.ACCEPTED, Status.RUNTIME_ERROR, Status.WRONG_ANSWER
TLE, WALL, MLE = Status.TIME_LIMIT, Status.WALL_LIMIT, Status.MEMORY_LIMIT
OLE, FLE, SV = Status.OUTPUT_LIMIT, Status.FILE_LIMIT, Status.SECURITY_VIOLATION

SHORT = Limits(
    cpu_seconds=0.4,
    wall_seconds=1.0,
    memory_bytes=128 << 20,
    output_bytes=1 << 20,
    processes=64,
    file_bytes=32 << 20,
)
ROOMY = Limits(cpu_seconds=4, wall_seconds=8, memory_bytes=256 << 20, processes=256)


@dataclass(frozen=True)
class Hostile:
    number: int
    name: str
    source: str
    right: tuple[Status, ...]
    language: str = "python"
    expected: str = "held"
    stdin: str | bytes = ""
    limits: Limits = field(default_factory=lambda: SHORT)

    def __str__(self) -> str:
        return f"{self.number:02d}-{self.name}"


def py(number: int, name: str, source: str, *right: Status, **more: object) -> Hostile:
    return Hostile(number, name, source, right, **more)  # type: ignore[arg-type]


def c(number: int, name: str, source: str, *right: Status, **more: object) -> Hostile:
    return Hostile(number, name, source, right, "c", **more)  # type: ignore[arg-type]


_BURN = "import os\n{}\nwhile True: pass"

TIME = [
    py(1, "busy loop", "while True: pass", TLE),
    py(2, "sleeps for ever", "import time; time.sleep(1e6)", WALL),
    py(3, "stops itself", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", WALL),
    py(
        4,
        "ignores every signal",
        "import signal\n"
        "for s in range(1, 65):\n"
        "    try: signal.signal(s, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "while True: pass",
        TLE,
    ),
    py(5, "four processes burn", _BURN.format("os.fork(); os.fork()"), TLE),
    py(
        6,
        "a child burns and nobody waits",
        "import os, time\nif os.fork() == 0:\n    while True: pass\ntime.sleep(100)",
        TLE,
    ),
    py(7, "holds the interpreter's lock", "x = 7 ** (10 ** 8)", TLE, MLE),
    py(
        8,
        "catastrophic regex",
        "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
        TLE,
    ),
    py(
        9,
        "bare except around a loop",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        TLE,
    ),
    py(
        10,
        "timer storm",
        "import signal\n"
        "signal.signal(signal.SIGALRM, lambda *a: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 1e-5, 1e-5)\n"
        "while True: pass",
        TLE,
    ),
    py(
        11,
        "huge integer to text",
        "import sys; sys.set_int_max_str_digits(0); print(len(str(1 << 40_000_000)))",
        TLE,
    ),
]

MEMORY = [
    py(12, "takes a gigabyte", "x = bytearray(1 << 30)\nx[::4096] = b'1' * len(x[::4096])", MLE),
    py(13, "grows slowly", "x = []\nwhile True: x.append(bytearray(1 << 18))", MLE, TLE),
    py(
        14,
        "memory only in children",
        "import os, time\n"
        "for _ in range(8):\n"
        "    if os.fork() == 0:\n"
        "        x = b'x' * (40 << 20); time.sleep(5)\n"
        "time.sleep(5)",
        MLE,
    ),
    py(
        15,
        "memory in a memory file",
        "import os\nfd = os.memfd_create('x')\nwhile True: os.write(fd, b'x' * (1 << 20))",
        MLE,
        FLE,
    ),
    c(
        16,
        "reserves a terabyte and leaves it alone",
        "#include <stdio.h>\n#include <sys/mman.h>\n"
        "int main(){void*p=mmap(0,1L<<40,PROT_NONE,MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE,-1,0);"
        'puts(p==MAP_FAILED?"refused":"held");}',
        A,
    ),
    c(
        17,
        "endless recursion",
        "#include <stdio.h>\n"
        "volatile int z; int f(int n){char b[4096];b[n&4095]=n;return f(n+1)+b[z];}\n"
        "int main(){return f(0);}",
        MLE,
        RE,
    ),
    py(
        18,
        "survives a refused allocation",
        "try:\n    x = bytearray(1 << 46)\nexcept MemoryError:\n    print('held')",
        A,
    ),
    py(19, "pretends to have been killed", "raise SystemExit(137)", RE),
    py(20, "kills itself", "import os; os.kill(os.getpid(), 9)", RE),
    py(
        21,
        "locks its memory",
        "import ctypes; ctypes.CDLL(None).mlockall(3); print('held')",
        A,
    ),
]

PROCESSES = [
    py(
        22,
        "fork bomb",
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        TLE,
        WALL,
    ),
    py(
        23,
        "thread bomb",
        "import threading, time\n"
        "while True: threading.Thread(target=time.sleep, args=(9,)).start()",
        RE,
        MLE,
        WALL,
    ),
    py(
        24,
        "leaves a daemon behind",
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(60)\n"
        "    os._exit(0)\n"
        "os.wait(); print('held')",
        A,
    ),
    py(
        25,
        "daemons that restart each other",
        "import os, time\n"
        "def respawn():\n"
        "    while True:\n"
        "        pid = os.fork()\n"
        "        if pid: os.setsid() if os.getpid() != os.getsid(0) else None; os.waitpid(pid, 0)\n"
        "        else: time.sleep(0.01)\n"
        "if os.fork() == 0: respawn()\n"
        "time.sleep(0.05); print('held')",
        A,
    ),
    py(
        26,
        "daemon that holds the output",
        "import os, time\nprint('held', flush=True)\nif os.fork() == 0: time.sleep(60)",
        A,
    ),
    py(
        27,
        "two hundred zombies",
        "import os\nfor _ in range(200):\n    if os.fork() == 0: os._exit(0)\nprint('held')",
        A,
        limits=ROOMY,
    ),
    py(28, "kills everything it may", "import os; os.kill(-1, 9); print('held')", RE, A),
    py(
        29,
        "kills the runner and its helpers",
        "import os\n"
        "for pid in range(1, 40):\n"
        "    for sig in (9, 15, 19, 2):\n"
        "        if pid != os.getpid():\n"
        "            try: os.kill(pid, sig)\n"
        "            except OSError: pass\n"
        "print('held')",
        A,
    ),
    c(
        30,
        "chain of fifty programs",
        "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
        'int main(int c,char**v){int n=c>1?atoi(v[1]):0;if(n==50){puts("held");return 0;}'
        'char b[9];snprintf(b,9,"%d",n+1);execl("/proc/self/exe","x",b,NULL);return 1;}',
        A,
    ),
    py(
        31,
        "becomes its own reaper",
        "import ctypes, os, time\n"
        "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
        "if os.fork() == 0:\n"
        "    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\n"
        "    if os.fork() == 0: time.sleep(60)\n"
        "    os._exit(0)\n"
        "print('held')",
        A,
    ),
    py(
        32,
        "asks for real time",
        "import os\n"
        "for act in (lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)),\n"
        "            lambda: os.setpriority(os.PRIO_PROCESS, 0, -20)):\n"
        "    try: act(); print('got it')\n"
        "    except PermissionError: pass\n"
        "print('held')",
        A,
    ),
]

OUTPUT = [
    py(33, "floods its output", "import os\nwhile True: os.write(1, b'x' * 65536)", OLE),
    py(34, "floods its errors", "import os\nwhile True: os.write(2, b'x' * 65536)", OLE),
    py(
        35,
        "one megabyte, just allowed",
        "import sys; sys.stdout.write('y' * ((1 << 20) - 1) + '\\n')",
        A,
        expected="y" * ((1 << 20) - 1),
    ),
    py(
        36,
        "closes its output and hangs",
        "import os, time; os.close(1); os.close(2); time.sleep(60)",
        WALL,
    ),
    py(37, "leaves a large input unread", "print('held')", A, stdin="x" * (8 << 20)),
    py(38, "reads past the end", "input(); input(); input()", RE, stdin="one line"),
    py(
        39,
        "bytes that are no text",
        "import sys; sys.stdout.buffer.write(b'\\xff\\x00held\\r\\n')",
        WA,
    ),
    py(40, "one line of fifty megabytes", "print('x' * (50 << 20))", OLE),
    py(
        41,
        "right output, then a crash",
        "print('held', flush=True); raise ValueError('later')",
        RE,
    ),
    py(
        42,
        "writes to inherited descriptors",
        "import os\n"
        "for fd in range(3, 1024):\n"
        "    try: os.write(fd, b'junk'); print('wrote', fd)\n"
        "    except OSError: pass\n"
        "print('held')",
        A,
    ),
]

FILES = [
    py(
        43,
        "fills the disk",
        "for i in range(1000):\n    open(f'f{i}', 'wb').write(b'x' * (16 << 20))",
        FLE,
        MLE,
        limits=ROOMY,
    ),
    py(
        44,
        "takes all inodes",
        "i = 0\nwhile True:\n    open(f'f{i}', 'w').close(); i += 1",
        FLE,
        limits=ROOMY,
    ),
    py(
        45,
        "four thousand folders deep",
        "import os\nfor _ in range(4000):\n    os.mkdir('d'); os.chdir('d')\nprint('held')",
        A,
        limits=ROOMY,
    ),
    py(
        46,
        "a tree that nobody may enter",
        "import os\n"
        "os.makedirs('a/b/c'); open('a/b/c/f', 'w').close()\n"
        "for p in ('a/b/c', 'a/b', 'a'): os.chmod(p, 0)\n"
        "os.chmod('.', 0)\n"
        "print('held')",
        A,
    ),
    py(
        47,
        "strange names",
        "import os\n"
        "for n in (b'a\\nb', b'-rf', b'\"\\'', b'x' * 255, b'\\xff\\xfe', b' '):\n"
        "    os.mkdir(n) if n.startswith(b'-') else open(n, 'w').close()\n"
        "print('held')",
        A,
    ),
    py(
        48,
        "links, pipes and sockets",
        "import os, socket\n"
        "os.symlink('/', 'root'); os.symlink('/proc/1/root', 'one'); os.mkfifo('pipe')\n"
        "s = socket.socket(socket.AF_UNIX); s.bind('sock')\n"
        "os.symlink('/etc', 'dir')\n"
        "print('held')",
        A,
    ),
    py(
        49,
        "hard links and a sparse terabyte",
        "import os\n"
        "open('a', 'w').close()\n"
        "for i in range(50): os.link('a', f'l{i}')\n"
        "try:\n"
        "    os.truncate('a', 1 << 40); print('grew')\n"
        "except OSError: print('held')",
        A,
    ),
    py(
        50,
        "litter wherever it may write",
        "import os\n"
        "for d in ('/tmp', '/dev/shm', '/dev/mqueue', '/var/tmp', '/run', '/', '/dev',\n"
        "          '/cascade'):\n"
        "    try: open(d + '/litter', 'w').write('secret of another test')\n"
        "    except OSError: pass\n"
        "print('held')",
        A,
    ),
    py(
        51,
        "shared memory that stays",
        "import ctypes\n"
        "c = ctypes.CDLL(None)\n"
        "got = [c.shmget(1234, 4096, 0o1666), c.semget(1234, 1, 0o1666), c.msgget(1234, 0o1666),\n"
        "       c.mq_open(b'/litter', 0o102, 0o666, None)]\n"
        "print('held' if got == [-1] * 4 else got)",
        A,
    ),
    py(
        52,
        "abstract socket in a daemon",
        "import os, socket, time\n"
        "s = socket.socket(socket.AF_UNIX); s.bind('\\0cascade-litter'); s.listen()\n"
        "if os.fork() == 0: time.sleep(60)\n"
        "print('held')",
        A,
    ),
    py(
        53,
        "writes to what is not its own",
        "import os, sys\n"
        "for p in ('/usr/x', '/proc/sys/kernel/hostname', sys.argv[0], '/bin/sh', '/etc/passwd',\n"
        "          '/opt/cascade/spawner', '/sys/x', '/proc/sysrq-trigger'):\n"
        "    try: open(p, 'r+' if os.path.exists(p) else 'w').write('x'); print('wrote', p)\n"
        "    except OSError: pass\n"
        "print('held')",
        A,
    ),
]
