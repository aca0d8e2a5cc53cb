"""What does a training step of each backbone cost? All of the catalogue, with their defaults, on one thread.

    OMP_NUM_THREADS=1 python benchmarks/backbone_steps.py [--rows 4096] [--fields 10] [--width 10] [--values 5389]
        [--turns 7] [--only dcn,ipnn]

A step looks the batch up, runs forward and backward, and moves all weights by dense Adam with the L2 of the whole table.
Backbones take turns, and the median turn counts. The limit is a matrix product of a hidden layer's size in float32, timed
in the same turns; a share is that of the backbone's own multiply-adds (forward once, backward twice) in the step's time.
Below: what takes the place of a formula's own form, beside that form, forward and backward.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from statistics import median

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.batches import batches
from ctrsel.data.ingest import ingest
from ctrsel.data.table import Table
from ctrsel.models.backbones import CATALOG
from ctrsel.models.backbones._pairs import InnerProducts, pairs
from ctrsel.models.backbones.dcn import DCN
from ctrsel.models.cost import backbone_cost
from ctrsel.models.embedded import Embedded, InputShape
from ctrsel.models.embedding import to_inputs
from ctrsel.models.layout import Layout
from ctrsel.models.network import Net
from ctrsel.train.net import NetLearner
from ctrsel.train.pieces import in_pieces

Work = Callable[[], object]


def made(*, rows: int, fields: int, values: int) -> Table:
    """Ingest uniform codes, so that the table has about so many embedding rows."""
    rng = np.random.default_rng(0)
    each = max(values // fields - 3, 1)  # three codes of each field are reserved
    columns = {f"f{i}": np.concatenate([np.arange(each), rng.integers(0, each, rows)]) for i in range(fields)}
    frame = pl.DataFrame({"click": rng.integers(0, 2, rows + each), **columns})
    kinds = {name: FieldConfig(kind="categorical") for name in columns}
    schema = SchemaConfig(label=LabelConfig(name="click"), fields=kinds)
    return ingest(frame, schema=schema, seed=0)


def step(name: str, table: Table, *, rows: int, width: int) -> tuple[Work, int, int]:
    """Return a training step, its backbone's multiply-adds a row, and its parameters."""
    learner = NetLearner(backbone=CATALOG.create(name), width=width)
    layout = Layout.of(table.encoder, history=False)
    torch.manual_seed(0)
    net = in_pieces(Net(learner.backbone, layout, width=width, labels=1).train())
    updates = learner.optimiser.build(net, learning_rate=1e-3, embedding_l2=0.05, clip=10.0)
    batch = next(iter(batches(table, None, size=rows)))
    assert batch.labels is not None
    inputs, labels = to_inputs(batch), torch.from_numpy(batch.labels)

    def work() -> None:
        updates.step(learner.step.objective(net, inputs, labels, None))

    cost = backbone_cost(learner.backbone, layout.shape(width=net.embedding.width, labels=1))
    return work, cost.multiply_adds, sum(p.numel() for p in net.parameters())


class VectorCross(nn.Module):
    """The cross layers as they are written: a vector per row and layer."""

    def __init__(self, layers: int, inputs: int) -> None:
        super().__init__()
        self.weight = nn.ModuleList(nn.Linear(inputs, 1, bias=False) for _ in range(layers))
        self.bias = nn.ParameterList(torch.zeros(inputs) for _ in range(layers))
        self.out = nn.Linear(inputs, 1, bias=False)

    def forward(self, x0: Tensor) -> Tensor:
        """Cross, then read out."""
        x = x0
        for weight, bias in zip(self.weight, self.bias, strict=True):
            x = x + weight(x) * x0 + bias
        out: Tensor = self.out(x)
        return out


def parts(*, rows: int, fields: int, width: int) -> dict[str, Work]:
    """Return pairs and cross layers in several forms, forward and backward."""
    e = torch.randn(rows, fields, width, requires_grad=True)
    i, j = torch.triu_indices(fields, fields, 1)
    upper = torch.triu(torch.ones(fields, fields), 1).bool()
    products = InnerProducts(fields)
    cross = DCN(cross_layers=3, hidden=()).build(InputShape(fields=tuple(map(str, range(fields))), width=width))
    vectors = VectorCross(3, fields * width)
    forms: dict[str, Callable[[], Tensor]] = {
        "pairs: products of all slots, then the upper triangle (ours)": lambda: products(e),
        "pairs: the same by a mask": lambda: torch.masked_select(e @ e.transpose(1, 2), upper).view(-1, pairs(fields)),
        "pairs: both slots of each pair": lambda: (e.index_select(1, i) * e.index_select(1, j)).sum(-1),
        "cross layers: a number per row and layer (ours)": lambda: (
            cross(Embedded(main=e, first_order=None, floats=e.new_zeros(rows, 0))).logits
        ),
        "cross layers: a vector per row and layer": lambda: vectors(e.flatten(1)),
    }
    return {name: lambda form=form: form().sum().backward() for name, form in forms.items()}  # type: ignore[misc]  # a loop's value


def timed(works: Mapping[str, Work], *, turns: int) -> dict[str, float]:
    """Return the median seconds of CPU of each, after one turn that does not count."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(turns + 1):
        for name, work in works.items():
            began = time.process_time()
            work()
            if turn:
                times[name].append(time.process_time() - began)
    return {name: median(found) for name, found in times.items()}


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 4096), ("fields", 10), ("width", 10), ("values", 5389), ("turns", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows, fields, width = arguments.rows, arguments.fields, arguments.width
    table = made(rows=rows, fields=fields, values=arguments.values)
    names = arguments.only.split(",") if arguments.only else CATALOG.names()
    made_steps = {name: step(name, table, rows=rows, width=width) for name in names}
    a, b = torch.randn(rows, 400), torch.randn(400, 400)
    found = timed({"limit": lambda: a @ b, **{k: v[0] for k, v in made_steps.items()}}, turns=arguments.turns)
    limit = rows * 400 * 400 / found["limit"]
    print(f"{rows} rows of {fields} fields, width {width}, {table.encoder.total_codes} embedding rows, one thread;")
    print(f"limit: {2 * limit / 1e9:.1f} GFLOP/s. Milliseconds are of CPU.\n")
    print("| backbone | parameters | ms a step | rows a second | share of the limit |")
    print("| --- | --- | --- | --- | --- |")
    for name, (_, multiply_adds, parameters) in sorted(made_steps.items(), key=lambda item: found[item[0]]):
        share = 3 * multiply_adds * rows / found[name] / limit
        print(f"| {name} | {parameters:,} | {1e3 * found[name]:.1f} | {rows / found[name]:,.0f} | {share:.0%} |")
    print("\n| part | ms forward and backward |\n| --- | --- |")
    for name, seconds in timed(parts(rows=rows, fields=fields, width=width), turns=2 * arguments.turns).items():
        print(f"| {name} | {1e3 * seconds:.2f} |")


if __name__ == "__main__":
    main()
