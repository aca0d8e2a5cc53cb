"""How well do the nets predict? Every net with the published recipe, beside LightGBM, logistic regression and mixes.

    python benchmarks/net_accuracy.py [--data FOLDER] [--only frappe] [--models deepfm,boosted] [--seeds 5]
        [--budget 3600] [--scores FOLDER] [--peers PYTHON] [--write docs/measured]

Tables: frappe (official validation and test rows; the negatives of the training rows were drawn again), criteo_137k and
census; the first two are read from `--data` where they are, and left out with a word where not. Early stopping and every
setting see training and validation rows; test is read once a cell. Cells (recipe, seed, table) are kept in a file each
table: a run that was stopped goes on. With `--scores` the logits of every cell are kept as well, and the mixes (weights
that are not negative, fitted on validation) and the paired differences are computed from them. What the budget does not
allow is left for the next run. `--tuned` trains the settings found on validation as well as the published ones.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import bars
import numpy as np
from rank_quality import census, files, frappe

from ctrsel.core.artifact import digest_json
from ctrsel.core.config import IngestConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, CtrselError
from ctrsel.data.table import Table
from ctrsel.models.net import NetPredictor
from ctrsel.stats.auc import auc, delong_paired
from ctrsel.stats.losses import log_loss
from ctrsel.stats.mixing import mix
from ctrsel.train import CATALOG as LEARNERS

Spec = Mapping[str, Any]
SETTINGS = Path(__file__).with_name("net_accuracy.yaml")
RUNNER = Path(__file__).with_name("tabular_runner.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One training and what it reached."""

    table: str
    model: str
    recipe: str  # digest
    seed: int
    valid_auc: float
    valid_log_loss: float
    test_auc: float
    test_log_loss: float
    epochs: int  # rounds of trees, strengths of logistic regression
    seconds: float
    cpu_seconds: float
    parameters: int
    table_rows: int  # of the embedding, 0 where there is none
    row_numbers: int  # of one such row over all tables

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes a cell the same cell."""
        return self.table, self.recipe, self.seed


class Cells:
    """A file of cells, one JSON object a line; a last line that a kill cut short is dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[tuple[str, str, int], Cell] = {}
        lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
        whole = lines[:-1]
        if lines and lines[-1]:
            path.write_text("".join(f"{line}\n" for line in whole), encoding="utf-8")
        for line in whole:
            cell = Cell(**json.loads(line))
            self.known[cell.key] = cell

    def add(self, cell: Cell) -> None:
        """Append."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(cell), sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.known[cell.key] = cell


def criteo(data: Path) -> Table:
    """Ingest the sample of Criteo's log, split by time; values of fewer than four training rows are taken together."""
    schema = SchemaConfig(label=LabelConfig(name="label"), ignore=("part",))
    return files(data / "criteo_137k", schema=schema, settings=IngestConfig(min_count=4))


TABLES: Mapping[str, Callable[[Path], Table]] = {"frappe": frappe, "criteo_137k": criteo, "census": census}


def recipes(name: str, *, tuned: bool) -> dict[str, Spec]:
    """Return the recipes of a table: published ones on Frappe, and those of the file of settings beside this one."""
    import yaml

    more = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    found: dict[str, Spec] = dict(bars.learner_specs()) if name == "frappe" else {}
    found |= more[name].get("models", {})
    if tuned:
        found |= more[name].get("tuned", {})
    return found


def score(spec: Spec, table: Table, *, model: str, seed: int, peers: Path | None) -> tuple[Cell, dict[str, np.ndarray]]:
    """Train on the table without its test rows, then score validation and test."""
    if "peer" in spec:
        return score_peer(spec, table, model=model, seed=seed, python=peers)
    learner = LEARNERS.create(spec, place=model)
    began, cpu = time.perf_counter(), time.process_time()
    fit = learner.fit(table.without("test"), seed=seed)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    logits = {split: fit.model.logits(table.part(split))[:, 0] for split in ("valid", "test")}
    predictor = fit.model.predictor
    tables = predictor.net.embedding.tables() if isinstance(predictor, NetPredictor) else []
    cell = measured(
        table,
        logits,
        model=model,
        recipe=digest_json(dict(spec)),
        seed=seed,
        epochs=fit.epochs or len(fit.history),
        seconds=seconds,
        cpu_seconds=cpu,
        parameters=fit.model.n_parameters,
        table_rows=len(tables[0]) if tables else 0,
        row_numbers=sum(t.numel() // len(t) for t in tables),
    )
    return cell, logits


def measured(table: Table, logits: Mapping[str, np.ndarray], **facts: Any) -> Cell:
    """Return a cell with the metrics of logits on validation and test rows."""
    y = {split: labels(table, split) for split in logits}
    area = {split: auc(y[split], logits[split].astype(np.float64)) for split in logits}
    loss = {split: log_loss(y[split], logits[split].astype(np.float64)) for split in logits}
    return Cell(
        table=table.digest,
        valid_auc=area["valid"],
        valid_log_loss=loss["valid"],
        test_auc=area["test"],
        test_log_loss=loss["test"],
        **facts,
    )


def score_peer(
    spec: Spec, table: Table, *, model: str, seed: int, python: Path | None
) -> tuple[Cell, dict[str, np.ndarray]]:
    """Let another package train, in an environment of its own; its parameters are not counted."""
    if python is None:
        raise ConfigError("--peers is not given")
    with tempfile.TemporaryDirectory(prefix="net-accuracy-") as scratch:
        for split in ("train", "valid", "test"):
            part = table.part(split)
            np.savez(
                Path(scratch) / f"{split}.npz",
                codes=np.stack([part.columns[n] for n in table.code_fields], axis=1).astype(np.int32),
                floats=np.array([part.columns[n] for n in table.float_fields], np.float32).reshape(-1, part.n_rows).T,
                labels=labels(table, split).astype(np.int64),
            )
        command = [str(python), str(RUNNER), scratch, str(spec["peer"]), str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConfigError(f"{spec['peer']} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        facts = json.loads((Path(scratch) / "facts.json").read_text(encoding="utf-8"))
        logits = dict(np.load(Path(scratch) / "logits.npz"))
    return measured(
        table,
        logits,
        model=model,
        recipe=digest_json(dict(spec)),
        seed=seed,
        epochs=0,
        parameters=0,
        table_rows=0,
        row_numbers=0,
        **facts,
    ), logits


def labels(table: Table, split: str) -> np.ndarray:
    """Return the labels of a split, `[N]`."""
    found = table.part(split).labels
    assert found is not None
    return np.asarray(found[:, 0])


def run(name: str, table: Table, specs: Mapping[str, Spec], arguments: argparse.Namespace, until: float) -> Cells:
    """Train what is not known yet, seed by seed, so that a spent budget leaves all models with about as many."""
    cells = Cells(arguments.cells / f"{name}.jsonl")
    missing: set[str] = set()
    for seed in range(1, arguments.seeds + 1):
        for model, spec in specs.items():
            key = (table.digest, digest_json(dict(spec)), seed)
            stored = None if arguments.scores is None else place(arguments.scores, name, key)
            if model in missing or (key in cells.known and (stored is None or stored.exists())):
                continue
            if time.monotonic() > until:
                continue
            try:
                cell, logits = score(spec, table, model=model, seed=seed, peers=arguments.peers)
            except ConfigError as error:
                print(f"{name}, {model}: left out: {error}", flush=True)
                missing.add(model)
                continue
            if key not in cells.known:
                cells.add(cell)
            if stored is not None:
                stored.parent.mkdir(parents=True, exist_ok=True)
                np.savez(stored, **logits)
            print(
                f"{name}, {model}, seed {seed}: valid {cell.valid_auc:.5f}, test {cell.test_auc:.5f} / "
                f"{cell.test_log_loss:.4f}, {cell.epochs} epochs, {cell.seconds:.0f} s ({cell.cpu_seconds:.0f} of CPU)",
                flush=True,
            )
    return cells


def place(folder: Path, name: str, key: tuple[str, str, int]) -> Path:
    """Return where a cell's logits lie."""
    return folder / name / f"{digest_json(list(key))[:16]}.npz"


def found(cells: Cells, table: Table, spec: Spec) -> list[Cell]:
    """Return the cells of a recipe by seed."""
    recipe = digest_json(dict(spec))
    return sorted(
        (c for c in cells.known.values() if (c.table, c.recipe) == (table.digest, recipe)), key=lambda c: c.seed
    )


def lines(name: str, cells: Cells, table: Table, specs: Mapping[str, Spec]) -> Iterator[str]:
    """Yield a Markdown table, best mean on test first."""
    yield "| model | seeds | valid AUC | test AUC | test log-loss | parameters | epochs | CPU s | published | goal |"
    yield "| --- |" + " --- |" * 9
    rows = {model: found(cells, table, spec) for model, spec in specs.items()}
    rows = {model: some for model, some in rows.items() if some}
    for model in sorted(rows, key=lambda m: -fmean(c.test_auc for c in rows[m])):
        some, known = rows[model], bars.PUBLISHED.get(model.partition(" (")[0]) if name == "frappe" else None
        count = f"{some[0].parameters:,}" if some[0].parameters else "-"
        if known is not None and known.parameters is not None and "(" not in model:
            same = bars.rows_counted(
                some[0].parameters, rows=some[0].table_rows, tables=some[0].row_numbers, published=known.rows
            )
            count += f" ({same:,} with {known.rows:,} rows; published {known.parameters:,})"
        published = "-" if known is None else f"{known.auc:.4f} / {known.log_loss:.4f}"
        if known is not None and known.mean is not None:
            published += f" (mean {known.mean[0]:.5f} +- {known.mean[1]:.5f})"
        goal = "-"
        if known is not None and known.goal is not None:
            met = fmean(c.test_auc for c in some) >= known.goal
            goal = f"{known.goal:.4f}: {'met' if met else 'not met'}"
        values = (
            model,
            str(len(some)),
            spread([c.valid_auc for c in some]),
            spread([c.test_auc for c in some]),
            spread([c.test_log_loss for c in some], digits=4),
            count,
            f"{fmean(c.epochs or 0 for c in some):.1f}",
            f"{fmean(c.cpu_seconds for c in some):.0f}",
            published,
            goal,
        )
        yield f"| {' | '.join(values)} |"


def spread(values: Sequence[float], *, digits: int = 5) -> str:
    """Return mean and deviation."""
    return f"{fmean(values):.{digits}f}" + (f" +- {stdev(values):.{digits}f}" if len(values) > 1 else "")


def mixes(name: str, cells: Cells, table: Table, specs: Mapping[str, Spec], folder: Path) -> Iterator[str]:
    """Yield what mixes reach, and each model's and mix's paired difference to the table's reference."""
    y = {split: labels(table, split).astype(np.int64) for split in ("valid", "test")}
    known: dict[str, list[dict[str, np.ndarray]]] = {}
    for model, spec in specs.items():
        some = [place(folder, name, c.key) for c in found(cells, table, spec)]
        if kept := [dict(np.load(p)) for p in some if p.exists()]:
            known[model] = kept
    # One column a model: the mean of its seeds' logits.
    mean = {m: {s: np.mean([k[s] for k in kept], axis=0, dtype=np.float64) for s in y} for m, kept in known.items()}
    columns: dict[str, np.ndarray] = {}
    yield "| mix | of | valid AUC | test AUC | test log-loss |"
    yield "| --- | --- | --- | --- | --- |"
    for model, kept in known.items():
        if len(kept) > 1:
            columns[f"seeds of {model}"] = mean[model]["test"]
            yield told(f"seeds of {model}", f"{len(kept)} seeds, equal weights", y, mean[model])
    settings = {model: fmean(c.valid_auc for c in found(cells, table, specs[model])) for model in mean}
    best = [
        max(same, key=lambda m: settings[m])
        for base in bars.PUBLISHED
        if (same := [m for m in mean if m.partition(" (")[0] == base])
    ]
    tuned = {f"tuned {group}": (*best, *GROUPS[group][len(bars.PUBLISHED) :]) for group in GROUPS if "nets" in group}
    for group, members in {**GROUPS, **(tuned if any("(" in m for m in best) else {})}.items():
        have = [m for m in members if m in mean]
        if len(have) < 2:
            continue
        fitted = mix(y["valid"], np.stack([mean[m]["valid"] for m in have], axis=1))
        mixed = {s: fitted(np.stack([mean[m][s] for m in have], axis=1)) for s in y}
        columns[group] = mixed["test"]
        weights = ", ".join(f"{m} {w:.2f}" for m, w in zip(have, fitted.weights, strict=True) if w > 0)
        yield told(group, weights, y, mixed)
    reference = "logistic"
    if reference not in known:
        return
    yield ""
    yield f"Differences of test AUC to {reference} on the same rows (DeLong, 95 %; of a model, its first seed):"
    yield ""
    yield "| model | difference | from | to | p |"
    yield "| --- | --- | --- | --- | --- |"
    base = known[reference][0]["test"].astype(np.float64)
    for model, z in {
        **{m: k[0]["test"].astype(np.float64) for m, k in known.items() if m != reference},
        **columns,
    }.items():
        d = delong_paired(y["test"], z, base)
        if d is not None:
            yield f"| {model} | {d.value:+.5f} | {d.low:+.5f} | {d.high:+.5f} | {d.p_value:.2g} |"


def told(what: str, of: str, y: Mapping[str, np.ndarray], z: Mapping[str, np.ndarray]) -> str:
    """Return a row of the table of mixes."""
    area = {s: auc(y[s], z[s]) for s in y}
    return f"| {what} | {of} | {area['valid']:.5f} | {area['test']:.5f} | {log_loss(y['test'], z['test']):.4f} |"


GROUPS = {  # what is mixed, where at least two of them are there; "tuned": the setting of each net that is best on validation
    "DeepFM + LightGBM": ("deepfm", "boosted"),
    "nets": tuple(bars.PUBLISHED),
    "nets + LightGBM": (*bars.PUBLISHED, "boosted"),
    "nets + LightGBM + logistic": (*bars.PUBLISHED, "boosted", "logistic"),
}


def main() -> None:
    """Train what the budget allows and write what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="holds criteo_137k and frappe, three files each"
    )
    parser.add_argument("--only", action="append", choices=list(TABLES))
    parser.add_argument("--models", help="names with commas; others are not trained, but shown")
    parser.add_argument("--tuned", action="store_true", help="train the settings found on validation as well")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=float, default=3600.0, help="seconds after which no new cell starts")
    parser.add_argument("--cells", type=Path, default=Path("docs/measured/net_accuracy"), help="folder of the cells")
    parser.add_argument("--scores", type=Path, help="folder for the logits of every cell")
    parser.add_argument(
        "--peers", type=Path, help="the Python of an environment with pytabkit, for the models it trains"
    )
    parser.add_argument("--write", type=Path, help="folder for net_accuracy.md")
    arguments = parser.parse_args()
    until = time.monotonic() + arguments.budget
    text: list[str] = []
    for name in arguments.only or TABLES:
        try:
            table = TABLES[name](arguments.data)
        except CtrselError as error:
            print(f"{name}: left out: {error}", flush=True)
            continue
        every = recipes(name, tuned=True)
        wanted = recipes(name, tuned=arguments.tuned)
        if arguments.models:
            asked = arguments.models.split(",")
            if strange := [m for m in asked if m not in every]:
                raise SystemExit(f"--models: no recipe {strange[0]!r} for {name}; there are {', '.join(every)}")
            wanted = {m: every[m] for m in asked}
        cells = run(name, table, wanted, arguments, until)
        start, stop = table.splits["test"]
        text += [f"## {name}", "", f"{table.n_rows:,} rows ({stop - start:,} of them test).", ""]
        text += [*lines(name, cells, table, every), ""]
        if arguments.scores is not None:
            text += [*mixes(name, cells, table, every, arguments.scores), ""]
    page = "\n".join(text)
    print(page, flush=True)
    if arguments.write is not None:
        arguments.write.mkdir(parents=True, exist_ok=True)
        head = (
            "# What nets reach\n\nMade by `python benchmarks/net_accuracy.py`; mean and deviation over seeds. Goals are of the mean of "
            'five seeds: with fewer,\n"met" is an indication. Frappe has its official validation and test rows; the items of its '
            "negative training rows were drawn again.\nPublished figures of Frappe are of a run whose settings were tuned with its seed "
            '(Zhu et al., "BARS", 2022).\n\n'
        )
        (arguments.write / "net_accuracy.md").write_text(head + page.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
