"""Selection: which fields and values are kept, each choice beside the controls at the same size."""

from ctrsel.core.catalog import Catalog
from ctrsel.select._contract import Selection, Selector
from ctrsel.select.problem import Problem, exclude
from ctrsel.select.protocol import CONTROLS, Outcome, retrain

CATALOG: Catalog[Selector] = Catalog(__name__, Selector, "selector")

__all__ = ["CATALOG", "CONTROLS", "Outcome", "Problem", "Selection", "Selector", "exclude", "retrain"]
