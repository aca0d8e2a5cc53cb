"""Account of an outcome: why each field and value went, and what the retrained model would lose without each kept field."""

from __future__ import annotations

from ctrsel.api.field_losses import field_losses
from ctrsel.core.config import SelectConfig
from ctrsel.data.table import Table
from ctrsel.records.schema import Schema
from ctrsel.records.selection_account import SelectionAccount
from ctrsel.select import Outcome
from ctrsel.select.account import account

__all__ = ["outcome_account"]


def outcome_account(
    known: Table, outcome: Outcome, *, wishes: SelectConfig, whole: Schema | None = None, seed: int = 1
) -> SelectionAccount:
    """Say what became of every field and value; validation rows are scored once per kept field.

    Args:
        known: What was selected from, without test rows.
        outcome: The selection and its retrained model.
        wishes: `always_keep` and `groups` of the config.
        whole: The schema before `never_use` took fields away.
        seed: Of the shuffles.
    """
    features = outcome.selection.features
    losses = field_losses(outcome.fit.model, known.narrow(features), seed=seed) if "valid" in known.splits else None
    return account(known, features, always_keep=wishes.always_keep, groups=wishes.groups, whole=whole, auc_lost=losses)
