import pytest

from ctrsel.data.tally import Tally


def test_every_row_is_accounted_for() -> None:
    with pytest.raises(AssertionError, match="10 rows were read, but 9 are accounted for"):
        Tally(read=10, stored=9)


def test_increments_add_up() -> None:
    both = Tally(read=10, stored=9, late=1) + Tally(read=5, stored=1, young=2, future=1, known=1)
    assert both.to_dict() == {
        "read": 15,
        "stored": 10,
        "rejected": 0,
        "young": 2,
        "future": 1,
        "known": 1,
        "late": 1,
    }
    assert both.sentence() == "15 rows read, 10 stored, 2 too young, 1 in the future, 1 stored before, 1 too late"
