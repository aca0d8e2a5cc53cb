"""The fuzz campaign: malformed files and configs go in, and nothing but one-sentence errors and accounted rows comes out.

    python benchmarks/fuzz_ingest.py --cases 20000 [--seed 0] [--workers 2]

Half of the cases are single text files, a quarter sources of any format through `ingest`, a quarter configs. Prints the
tally by outcome and every seed that failed, with the line that repeats it; exit code 1 if there is any. Cases run in
processes of their own, a hundred at a time, so that a crash of the process is found and told as well.
"""

import argparse
import subprocess
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

BATCH = 100
WAYS = ("staged", "ingested", "staged", "config")


def run(seeds: range, verbose: bool) -> None:
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "fuzz"))
    import campaign
    import malformed

    for seed in seeds:
        way = WAYS[seed % len(WAYS)]
        print("begin", seed, way, flush=True)
        try:
            if way == "config":
                outcome = campaign.judge_config(seed)
            else:
                case = malformed.draw(
                    seed, kinds=malformed.TEXTS if way == "staged" else malformed.TEXTS + malformed.BINARIES
                )
                if way == "staged":
                    case = replace(case, files=dict(list(case.files.items())[:1]))
                outcome = f"{case.kind}: " + campaign.judge(case, getattr(campaign, way))
            print("end", seed, way, outcome, flush=True)
        except BaseException as error:
            if verbose:
                traceback.print_exc()
            print("failed", seed, way, type(error).__name__, " ".join(str(error).split())[:300], flush=True)


def batch(first: int, last: int) -> tuple[Counter, list[str]]:
    command = [sys.executable, __file__, "--seed", str(first), "--cases", str(last - first), "--inside"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
        code, out = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        code, out = -1, (error.stdout or b"").decode()
    tally: Counter = Counter()
    failed: list[str] = []
    last_begun = ""
    for line in out.splitlines():
        word, _, rest = line.partition(" ")
        if word == "begin":
            last_begun = rest
        elif word == "end":
            _, way, outcome = rest.split(" ", 2)
            tally[f"{way}, {outcome}"] += 1
            last_begun = ""
        elif word == "failed":
            tally["FAILED"] += 1
            failed.append(rest)
            last_begun = ""
    if last_begun or code:
        seed = int(last_begun.split()[0]) if last_begun else last - 1
        tally["CRASHED OR HUNG"] += 1
        failed.append(f"{last_begun} the process ended with {code}")
        if last_begun and seed + 1 < last:
            more, others = batch(seed + 1, last)
            tally += more
            failed += others
    return tally, failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--inside", action="store_true", help="run here and print each case")
    parser.add_argument("--verbose", action="store_true", help="with --inside: print tracebacks")
    given = parser.parse_args()
    stop = given.seed + given.cases
    if given.inside:
        run(range(given.seed, stop), given.verbose)
        return
    began = time.perf_counter()
    starts = range(given.seed, stop, BATCH)
    with ThreadPoolExecutor(given.workers) as pool:
        results = list(pool.map(lambda s: batch(s, min(s + BATCH, stop)), starts))
    tally = sum((r[0] for r in results), Counter())
    failed = [line for r in results for line in r[1]]
    for outcome, n in sorted(tally.items()):
        print(f"{n:7}  {outcome}")
    print(f"{sum(tally.values()):7}  cases in {time.perf_counter() - began:.0f} s, {len(failed)} failed")
    for line in failed:
        print(f"failed: {line}\n  again: python {sys.argv[0]} --inside --verbose --cases 1 --seed {line.split()[0]}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
