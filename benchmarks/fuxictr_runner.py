"""Train one of FuxiCTR's models as its own run script does, and tell what it cost: for the Python of FuxiCTR's environment.

    python benchmarks/fuxictr_runner.py prepare recipe.json
    python benchmarks/fuxictr_runner.py train recipe.json

It needs a clone of FuxiCTR (whose wheel omits these models), torch and FuxiCTR's requirements (`polars<2`,
`keras_preprocessing`), nothing of ctrsel and no network. `prepare` codes the files in a process of its own, so that its
memory is not counted as that of training. Standard output holds one JSON object a line:

    {"event": "model", "parameters": 423280}
    {"event": "epoch", "epoch": 1, "rows_per_second": 31000.0, "rows_per_cpu_second": 33000.0, "valid_auc": 0.93, ...}
    {"event": "end", "valid_auc": ..., "valid_log_loss": ..., "test_auc": ..., "test_log_loss": ..., "seconds": ...,
     "cpu_seconds": ..., "peak_anonymous_bytes": ...}

The rate of an epoch leaves validation and the writing of checkpoints out. The recipe:

    clone     folder of the clone
    model     a class of its model zoo: DeepFM, DCNv2, AutoInt, ...
    params    of the class, as in FuxiCTR's model_config.yaml
    work      a folder of its own for the coded data and checkpoints; made if it is not there
    train, valid, test   CSV files (raw values), or Parquet files where `sizes` is given (codes, used as they are)
    label     name of the label's column
    fields    names of the categorical columns, as texts
    sizes     optional: codes of each field (a mapping), where the files hold codes already: 0 is padding
    seed, epochs, threads
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEFAULTS = {  # what FuxiCTR's model_config.yaml sets for every model
    "task": "binary_classification",
    "loss": "binary_crossentropy",
    "metrics": ["AUC", "logloss"],
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "net_regularizer": 0,
    "early_stop_patience": 2,
    "save_best_only": True,
    "eval_steps": None,
    "monitor": "AUC",
    "monitor_mode": "max",
    "shuffle": True,
    "group_id": None,
    "use_features": None,
    "feature_specs": None,
    "feature_config": None,
    "num_workers": 0,  # the batches are made in the one process that is measured
    "verbose": 0,
    "gpu": -1,
}


def main() -> None:
    """Prepare or train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("prepare", "train"))
    parser.add_argument("recipe", type=Path)
    arguments = parser.parse_args()
    recipe = json.loads(arguments.recipe.read_text())
    logging.getLogger().setLevel(logging.ERROR)
    place = source(Path(recipe["clone"]), recipe["model"])
    sys.path[:0] = [str(recipe["clone"]), str(place)]
    work = Path(recipe["work"])
    work.mkdir(parents=True, exist_ok=True)
    params = settings(recipe)
    if arguments.command == "prepare":
        prepare(recipe, params)
    else:
        train(recipe, params)


def source(clone: Path, model: str) -> Path:
    """Return the folder whose `src` defines a model."""
    zoo = clone / "model_zoo"
    found = [p for p in (zoo / model / f"{model}_torch", zoo / model) if (p / "src").is_dir()]
    if not found:
        known = ", ".join(sorted(p.name for p in zoo.iterdir() if p.is_dir())) if zoo.is_dir() else "no model zoo"
        raise SystemExit(f"{clone}: has no model {model!r}; it has {known}")
    return found[0]


def settings(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return the flat parameters that FuxiCTR's run script would have loaded from its two files."""
    work, sizes = Path(recipe["work"]), recipe.get("sizes")
    columns = [
        {
            "name": name,
            "active": True,
            "dtype": "int" if sizes else "str",
            "type": "categorical",
            **({"vocab_size": sizes[name]} if sizes else {}),
        }
        for name in recipe["fields"]
    ]
    return {
        **DEFAULTS,
        **recipe["params"],
        "model": recipe["model"],
        "model_id": recipe["model"],
        "dataset_id": "data",
        "data_root": str(work),
        "model_root": str(work / f"checkpoints-{os.getpid()}"),
        "data_format": "parquet" if sizes else "csv",
        "rebuild_dataset": not sizes,
        "min_categr_count": 1,
        "feature_cols": columns,
        "label_col": {"name": recipe["label"], "dtype": "float"},
        "train_data": recipe["train"],
        "valid_data": recipe["valid"],
        "test_data": recipe.get("test"),
        "seed": recipe.get("seed", 2021),
        "epochs": recipe.get("epochs", 100),
    }


def prepare(recipe: dict[str, Any], params: dict[str, Any]) -> None:
    """Code the files once; a folder that is prepared stays as it is."""
    from fuxictr.preprocess import FeatureProcessor, build_dataset

    if (Path(recipe["work"]) / "data" / "feature_map.json").exists():
        return
    began, cpu = time.perf_counter(), time.process_time()
    with peak() as most:
        processor = FeatureProcessor(**params)
        if recipe.get("sizes"):
            processor.fit(None, **params)
        else:
            build_dataset(processor, **params)
    tell("prepared", seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - cpu, **most)


def train(recipe: dict[str, Any], params: dict[str, Any]) -> None:
    """Do what `run_expid.py` does, with clocks."""
    import src  # the model's own folder
    import torch
    from fuxictr.features import FeatureMap
    from fuxictr.pytorch.dataloaders import RankDataLoader
    from fuxictr.pytorch.torch_utils import seed_everything

    torch.set_num_threads(recipe.get("threads", 1))
    data = Path(recipe["work"]) / "data"
    if not (data / "feature_map.json").exists():
        raise SystemExit(f"{data}: not prepared; run the command `prepare` first")
    if not recipe.get("sizes"):
        params |= {f"{split}_data": str(data / split) for split in ("train", "valid", "test") if recipe.get(split)}
    params |= {"data_format": "parquet"}
    seed_everything(seed=params["seed"])
    began, cpu = time.perf_counter(), time.process_time()
    with peak() as most:
        features = FeatureMap("data", str(data))
        features.load(str(data / "feature_map.json"), params)
        model = getattr(src, recipe["model"])(features, **params)
        tell("model", parameters=sum(p.numel() for p in model.parameters() if p.requires_grad))
        Path(model.model_dir).mkdir(parents=True, exist_ok=True)
        trained, valid = RankDataLoader(features, stage="train", **params).make_iterator()
        watch(model, rows=trained.num_samples)
        model.fit(trained, validation_data=valid, **params)
        facts = {f"valid_{k}": v for k, v in named(model.evaluate(valid)).items()}
        if params["test_data"]:
            test = RankDataLoader(features, stage="test", **params).make_iterator()
            facts |= {f"test_{k}": v for k, v in named(model.evaluate(test)).items()}
    tell("end", **facts, seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - cpu, **most)


def watch(model: Any, *, rows: int) -> None:
    """Print a line for each epoch; what it took leaves evaluation out."""
    train_epoch, eval_step, evaluate = model.train_epoch, model.eval_step, model.evaluate
    out = {"wall": 0.0, "cpu": 0.0}
    last: dict[str, float] = {}

    def evaluated(*given: Any, **named_: Any) -> Any:
        logs = evaluate(*given, **{**named_, "metrics": ["AUC", "logloss"]})
        last.update(named(logs))
        return logs

    def aside() -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        model.evaluate = evaluated
        eval_step()
        model.evaluate = evaluate
        out["wall"] += time.perf_counter() - wall
        out["cpu"] += time.process_time() - cpu

    def epoch(*given: Any) -> None:
        out.update(wall=0.0, cpu=0.0)
        wall, cpu = time.perf_counter(), time.process_time()
        train_epoch(*given)
        wall, cpu = time.perf_counter() - wall - out["wall"], time.process_time() - cpu - out["cpu"]
        tell(
            "epoch",
            epoch=model._epoch_index + 1,
            rows_per_second=rows / wall,
            rows_per_cpu_second=rows / cpu,
            evaluation_seconds=out["wall"],
            **{f"valid_{k}": v for k, v in last.items()},
        )

    model.eval_step, model.train_epoch = aside, epoch


def named(logs: dict[str, float]) -> dict[str, float]:
    """Return FuxiCTR's metrics under plain names."""
    return {"auc": float(logs["AUC"]), "log_loss": float(logs["logloss"])}


@contextmanager
def peak() -> Iterator[dict[str, int]]:
    """Yield a dictionary that holds the largest RssAnon once the block has ended, looked at 50 times a second."""
    found: dict[str, int] = {}
    most, over = [anonymous()], threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            most[0] = max(most[0], anonymous())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
        found["peak_anonymous_bytes"] = max(most[0], anonymous())


def anonymous() -> int:
    """Return this process's memory that no file holds, bytes."""
    with Path("/proc/self/status").open(encoding="ascii", errors="replace") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))


def tell(event: str, **facts: Any) -> None:
    """Print one line."""
    print(json.dumps({"event": event, **facts}), flush=True)


if __name__ == "__main__":
    main()
