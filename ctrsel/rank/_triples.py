"""Triples of fields as pairs: two of the fields are made one, whose codes are the cells that occur."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ctrsel.rank._pairs import PairScan

__all__ = ["Triple", "beam_triples", "every_triple", "scan_triples"]

_Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Triple:
    """Three fields in the table's order, and the deviate of the third one's interaction with the strongest pair."""

    fields: tuple[str, str, str]
    z: float


def every_triple(names: Sequence[str], pairs: Mapping[_Pair, float]) -> dict[_Pair, list[str]]:
    """Return all triples, each under its pair with the largest deviate.

    The other field is then tested against the cells of that pair, so that a pair that works without a third field does
    not make each of its triples look like one.
    """
    out: dict[_Pair, list[str]] = {}
    for a, b, c in combinations(names, 3):
        z, place = max((pairs[a, b], 2), (pairs[a, c], 1), (pairs[b, c], 0))
        del z
        pair = [(b, c), (a, c), (a, b)][place]
        out.setdefault(pair, []).append((a, b, c)[place])
    return out


def beam_triples(names: Sequence[str], pairs: Mapping[_Pair, float], *, beam: int) -> dict[_Pair, list[str]]:
    """Return the triples that contain one of the best pairs, each under its pair with the largest deviate."""
    best = sorted(pairs, key=lambda pair: (-pairs[pair], pair))[:beam]
    out: dict[_Pair, list[str]] = {}
    done: set[frozenset[str]] = set()
    for pair in best:
        for third in names:
            fields = frozenset((*pair, third))
            if len(fields) == 3 and fields not in done:
                done.add(fields)
                out.setdefault(pair, []).append(third)
    return out


def scan_triples(scan: PairScan, tried: Mapping[_Pair, Sequence[str]]) -> list[Triple]:
    """Count triples on the rows of a scan; the strongest pair of each is one field of as many codes as it has cells."""
    place = {name: i for i, name in enumerate(scan.columns)}
    found = []
    for pair, thirds in tried.items():
        first, second = pair
        keys = scan.columns[first].astype(np.uint64) * np.uint64(scan.sizes[second]) + scan.columns[second]
        values, codes = np.unique(keys, return_inverse=True)
        both = scan.beside("*".join(pair), codes.astype(np.uint32), size=len(values))
        name = "*".join(pair)
        for (_, third), scanned in both.pairs([(name, third) for third in thirds]).items():
            a, b, c = sorted((*pair, third), key=place.__getitem__)
            found.append(Triple(fields=(a, b, c), z=scanned.test.z))
    return found
