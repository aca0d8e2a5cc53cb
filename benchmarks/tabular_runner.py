"""One network for tables in general, trained by its own package: a process of `net_accuracy.py`, in an environment of its own.

    PYTHON tabular_runner.py FOLDER NAME SEED

FOLDER holds train.npz, valid.npz and test.npz with codes int32 `[N, C]`, floats `[N, M]` and labels `[N]`; NAME is a class of
pytabkit (Holzmueller et al., "Better by default", 2024), with its defaults; early stopping sees the validation rows. The
log-odds of validation and test rows go to FOLDER/logits.npz, the seconds to FOLDER/facts.json, so that nothing hangs on what
the package prints. Nothing of ctrsel is imported.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np


def main() -> None:
    """Train, score and write."""
    warnings.simplefilter("ignore")
    import pandas as pd
    import pytabkit
    import torch

    folder, name, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    torch.set_num_threads(1)
    parts = {split: dict(np.load(folder / f"{split}.npz")) for split in ("train", "valid", "test")}

    def frame(part: dict[str, np.ndarray]) -> pd.DataFrame:
        codes = {f"c{i}": part["codes"][:, i].astype(str) for i in range(part["codes"].shape[1])}
        floats = {f"x{i}": part["floats"][:, i] for i in range(part["floats"].shape[1])}
        return pd.DataFrame({**codes, **floats})

    model = getattr(pytabkit, name)(device="cpu", random_state=seed, n_threads=1, val_metric_name="1-auc_ovr")
    began, cpu = time.perf_counter(), time.process_time()
    named = [f"c{i}" for i in range(parts["train"]["codes"].shape[1])]
    model.fit(
        frame(parts["train"]),
        parts["train"]["labels"],
        X_val=frame(parts["valid"]),
        y_val=parts["valid"]["labels"],
        cat_col_names=named,
    )
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    logits = {}
    for split in ("valid", "test"):
        p = np.clip(model.predict_proba(frame(parts[split]))[:, 1].astype(np.float64), 1e-12, 1 - 1e-12)
        logits[split] = np.log(p) - np.log1p(-p)
    np.savez(folder / "logits.npz", **logits)
    (folder / "facts.json").write_text(json.dumps({"seconds": seconds, "cpu_seconds": cpu}), encoding="utf-8")


if __name__ == "__main__":
    main()
