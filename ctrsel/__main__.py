"""`python -m ctrsel` is the program `ctrsel`, for launchers that want a module, such as `torchrun -m`."""

from __future__ import annotations

import sys

from ctrsel.cli import main

if __name__ == "__main__":
    sys.exit(main())
