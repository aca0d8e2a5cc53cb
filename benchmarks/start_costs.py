"""What it costs to start: CPU seconds of `import ctrsel` and of `ctrsel --help`, medians of nine fresh processes."""

import statistics
import subprocess
import sys

COMMANDS = {
    "import ctrsel": "import time; t = time.process_time(); import ctrsel; print(time.process_time() - t)",
    "ctrsel --help": (
        "import time, contextlib, io\nfrom ctrsel.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()): main(['--help'])\nprint(time.process_time())"
    ),
    "python alone": "import time; print(time.process_time())",
}

if __name__ == "__main__":
    for name, code in COMMANDS.items():
        runs = [
            float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
            for _ in range(9)
        ]
        print(f"{name:16} {statistics.median(runs):.3f} s")
