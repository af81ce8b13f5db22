"""What a run in a sandbox costs, beside docker run, docker exec, a plain subprocess and bwrap.

    python benchmarks/sandbox_speed.py [--kind docker|local|all] [--rounds N]

The same as `cascade-sandbox bench`. Everything is measured in interleaved rounds, of which the best
counts, with the machine's own floor beside it: where that is high, the machine is busy or its
pages are expensive, and the ratios say more than the milliseconds.
"""

from __future__ import annotations

import sys

from cascade.sandboxes.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
