"""Words that the report explains: what each split is read for, and each metric with its unit."""

from __future__ import annotations

__all__ = ["SPLITS", "TERMS"]

SPLITS = {
    "train": "Vocabularies, rankings, search and training.",
    "valid": "Early stopping, the held-out gain, the choice between selections, the rows that are explained.",
    "test": (
        "The figures of this page: each contender once, after all choices. The audit compares its values with "
        "training; nothing was chosen by its labels."
    ),
}

TERMS: tuple[tuple[str, str], ...] = (
    (
        "AUC",
        "Probability that a positive row gets a higher score than a negative one, ties counted half; 0.5 is chance. "
        "Interval: DeLong, or bootstrap where rows have weights; clustered by group where one is set.",
    ),
    ("Grouped AUC", "AUC inside each group (a user, say), averaged by rows; groups of one class are left out."),
    ("Change of AUC", "AUC of the small model less that of the full net on the same rows, with its paired interval."),
    ("Log-loss", "Mean negative log-likelihood, in nats per row; lower is better."),
    (
        "Calibration",
        "Sum of predicted probabilities over the number of positives; 1 is right, above 1 predicts too much.",
    ),
    ("ECE", "Expected calibration error: mean distance of predicted and observed rate over 20 bins of equal mass."),
    ("Value", "One category of a field, or one bucket of a number. Missing, other and hidden are not counted."),
    (
        "Dropped",
        "A dropped value is read as \u201cother\u201d, as a value that was never seen is; the row is not lost.",
    ),
    ("Traffic kept", "Share of training rows whose value of the field is kept."),
    ("MI \u2212 EMI", "Mutual information of field and label less its mean under shuffled labels, in nats."),
    ("z", "The same difference in standard deviations of mutual information under shuffled labels."),
    ("AMI", "Adjusted mutual information: 0 for what chance gives, 1 for a copy of the label."),
    ("q", "Benjamini-Hochberg: share of false discoveries if this field and all with a smaller q are called signal."),
    (
        "Held-out gain",
        "Log-loss that the field\u2019s smoothed training rates alone save on validation rows, in nats per row; "
        "below 0 the field misleads.",
    ),
    (
        "SHAP",
        "Mean absolute attribution in log-odds, \u00b1 its standard error over the explained rows: how far the field "
        "moves the model\u2019s logit.",
    ),
    ("Drift (PSI)", "Population stability index between training and test; above 0.25 is usually called a shift."),
)
