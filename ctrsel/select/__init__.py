"""Selection: which fields and values are kept, each choice beside the controls at the same size."""

from ctrsel.core.catalog import Catalog
from ctrsel.select._contract import Found, Selection, Selector
from ctrsel.select.problem import Problem, exclude
from ctrsel.select.protocol import CONTROLS, Outcome, retrain
from ctrsel.select.size import Size

CATALOG: Catalog[Selector] = Catalog(__name__, Selector, "selector")

__all__ = [
    "CATALOG",
    "CONTROLS",
    "Found",
    "Outcome",
    "Problem",
    "Selection",
    "Selector",
    "Size",
    "exclude",
    "retrain",
]
