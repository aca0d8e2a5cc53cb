"""A program that changes one registry in forked processes, killing them with SIGKILL, and says what is left of it.

`killing.py DATABASE kill` ends a process after each of its calls to MLflow that change something; `killing.py DATABASE crowd` lets
eight work at once. The main process never opens the store, so that forks share no connection.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import polars as pl

from ctrsel.core.config import RegisterConfig
from ctrsel.register import find_registration, register_run, registration
from ctrsel.register.log import DECIDED, holder, promotions
from ctrsel.register.promotion import promote_version, roll_back
from ctrsel.register.store import Store, quiet_mlflow
from ctrsel.testing.runs import tiny_net, tiny_run
from ctrsel.testing.tables import tiny_table

CALLS = (
    "create_run",
    "set_terminated",
    "set_model_version_tag",
    "set_registered_model_alias",
    "delete_model_version",
    "create_model_version",
    "create_registered_model",
    "create_experiment",
    "create_logged_model",
    "finalize_logged_model",
    "log_text",
)


def bare(folder, *_args, **_more):
    """Stand for a version's folder, which is another test's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").touch()


def mortal(point: int) -> None:
    """Kill this process after so many of its calls that change something."""
    seen = [0]

    def wrapped(method):
        def call(self, *args, **more):
            found = method(self, *args, **more)
            step()
            return found

        return call

    def step() -> None:
        if seen[0] == point:
            os.kill(os.getpid(), signal.SIGKILL)
        seen[0] += 1

    from mlflow import MlflowClient

    for name in CALLS:
        setattr(MlflowClient, name, wrapped(getattr(MlflowClient, name)))


def forked(work) -> int:
    """Do something in a process of its own; return its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)
    return 0


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(database: Path, mode: str) -> None:
    # Nothing of this may happen on import, which whoever collects examples does.
    warnings.simplefilter("ignore")
    registration.package = registration.write_files = bare
    table = tiny_table(rows=200)
    model = tiny_net(table)
    planned = tiny_run(table, model)
    config, out = RegisterConfig(tracking_uri=f"sqlite:///{database}"), database.parent
    place = {"config": config, "out": out}

    def register(seed: int, promoted: bool = True) -> None:
        run = replace(planned, seed=seed, verdict=replace(planned.verdict, promoted=promoted))
        if find_registration(run, **place) is not None:
            return
        register_run(
            run,
            model=model,
            feature_set=None,
            report=out,
            rankings=(),
            example=pl.DataFrame(),
            card="",
            proof=False,
            **place,
        )

    def state(name: str) -> dict[str, object]:
        store = Store.of(config, out=out)
        with quiet_mlflow(store.uri):
            client = store.client()
            with promotions(store, client, "tiny") as log:
                found = log.entries()
                return {
                    "champion": holder(client, "tiny", "champion"),
                    "open": len([r for r in log._runs() if r.info.status == "RUNNING"]),
                    "log": [
                        [e["number"], e["decision"], e["candidate"], e["from"], e["to"], e["why"][0]] for e in found
                    ],
                    "versions": {
                        int(v.version): DECIDED in v.tags for v in client.search_model_versions("name='tiny'")
                    },
                    "name": name,
                }

    def tell(name: str) -> None:
        file = out / "state.json"
        code = ended(forked(lambda: file.write_text(json.dumps(state(name)))))
        print(json.dumps({"failed": name}) if code else file.read_text(), flush=True)

    for seed in (1, 2):
        assert ended(forked(lambda seed=seed: register(seed))) == 0
    tell("before")
    if mode == "crowd":
        works = [
            *(lambda n=n: promote_either(n, place) for n in range(4)),
            *(lambda n=n: register(100 + n, promoted=n % 2 == 0) for n in range(4)),
        ]
        codes = [ended(c) for c in [forked(w) for w in works]]
        print(json.dumps({"codes": codes}), flush=True)
        tell("crowd")
        return
    works = {
        "promote": lambda: promote_version("tiny", 1, reason="why not", compared_with=None, force=True, **place),
        "rollback": lambda: roll_back("tiny", reason="it is worse", **place),
        "register": lambda: register(3),
    }
    saved = out / "saved.db"
    shutil.copyfile(database, saved)
    for name, work in works.items():
        for point in range(60):
            shutil.copyfile(saved, database)
            code = ended(forked(lambda work=work, point=point: (mortal(point), work())))
            if code == 0:
                break
            assert code == -signal.SIGKILL, (name, point, code)
            if name == "register":
                assert ended(forked(work)) == 0
            tell(name)


def promote_either(number: int, place) -> None:
    """Force version 1 or 2 to be champion, whichever is not: nobody has to wait for another to move it."""
    for attempt in range(1_000):
        try:
            version = 1 + (number + attempt) % 2
            promote_version("tiny", version, reason=f"turn {number}", compared_with=None, force=True, **place)
        except Exception as error:
            if "already" not in str(error):
                raise
        else:
            return
    raise TimeoutError(f"turn {number} was never let in")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
