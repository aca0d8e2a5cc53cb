"""Malformed configs, drawn by a seed: a valid YAML file, damaged in its values and in its text."""

from __future__ import annotations

import copy
import random
from typing import Any

import yaml

BASE: dict[str, Any] = {
    "name": "fuzz",
    "seed": 1,
    "data": {"train": "a.csv", "test": "b.csv", "format": "csv", "rows": 100, "encoding": "utf-8"},
    "split": {"use": "hash", "valid": 0.1, "test": 0.1},
    "schema": {
        "label": {"name": "click", "positive": "1", "delay": "7d"},
        "ignore": ["id"],
        "time": "when",
        "fields": {
            "age": {"kind": "numeric", "bucket": "quantile", "bins": 10},
            "ad": {"min_count": 2, "sensitive": True},
        },
    },
    "ingest": {"min_count": 2, "tolerance": 0.01, "max_cell": 100, "memory_gb": 1.5},
    "audit": {"accept": ["age"]},
    "rank": [{"use": "mutual_information"}, {"use": "boosted_shap", "rows": 2000}],
    "learners": {
        "boosted": {"use": "boosted", "learning_rate": 0.1, "threads": 1},
        "net": {"use": "net", "backbone": {"use": "deepfm", "hidden": [8, 4]}, "width": 8, "embedding_l2": "1e-3"},
    },
    "select": {"learner": "net", "size": 0.5, "selectors": [{"use": "gated", "gate": {"use": "optfs", "epochs": 2}}]},
    "explain": {"max_rows": 100},
    "register": {"enabled": False, "max_auc_loss": 0.005},
}
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**63, 10**400, 0.5, -0.0, float("nan"), float("inf"), 1e308, "", " ", "x",
    "two\nlines", "\0", "1e-3",
    "yes", "../..", "~", "$HOME", "a" * 5000, "ä", [], {}, [[]], [None], {"use": "net"}, {"use": None},
    {"use": ["net"]}, {"use": "none such"},
    {None: 1}, {1: 2}, {"": 0}, [1, "x", {"y": []}], "2024-01-01",
)  # fmt: skip


def draw(seed: int) -> bytes:
    rng = random.Random(seed)
    config = copy.deepcopy(BASE)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 8))):
        _damage(rng, config)
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        text = _damage_text(rng, text)
    raw = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.1 and raw:
        at = rng.randrange(len(raw))
        raw = raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :]
    return raw


def _damage(rng: random.Random, config: dict[str, Any]) -> None:
    at: Any = config
    while True:  # a place at random, any depth
        keys: list[Any] = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            break
        key = rng.choice(keys)
        if not isinstance(at[key], dict | list) or not at[key] or rng.random() < 0.3:
            break
        at = at[key]
    how = rng.choice(("value", "value", "value", "key", "drop", "deep", "swap", "rename"))
    if not keys or how == "key":
        if isinstance(at, dict):
            at[rng.choice(("use", "rows", "nmae", "", 3, None, "a.b", "train"))] = copy.deepcopy(rng.choice(VALUES))
        else:
            at.append(copy.deepcopy(rng.choice(VALUES)))
    elif how == "value":
        at[key] = copy.deepcopy(rng.choice(VALUES))
    elif how == "drop":
        del at[key]
    elif how == "deep":
        value: Any = at[key]
        for _ in range(rng.choice((1, 2, 50))):
            value = [value] if rng.random() < 0.5 else {"use": value}
        at[key] = value
    elif how == "swap":
        other = rng.choice(keys)
        at[key], at[other] = at[other], at[key]
    elif isinstance(at, dict):
        at[str(key) + rng.choice(("s", "_", " ", "\t"))] = at.pop(key)


def _damage_text(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    what = rng.choice(
        ("\t", "\n", ":", "- ", "{", "}", "[", "'", '"', "#", "&a ", "*a", "!!python/object:os.system ",
        "!!binary x", "%YAML 9\n", "---\n", "...\n",
         "\ufeff", "\0", "\x85", "<<: *a\n", "? ", "| ", "> ", "\udc80", "name: again\n", "a: &a [*a]\n",
         "x: 2024-13-45\n", "x: 0o8\n", "x: 1:60:70\n",
         "x: !!int x\n", "x: !!float x\n", "x: !!timestamp x\n", "? [a]\n: 1\n", "? {a: 1}\n: 1\n", "[" * 2000)
    )  # fmt: skip
    return text[:at] + what + text[at:] if rng.random() < 0.8 else text[: rng.randrange(len(text) + 1)]
