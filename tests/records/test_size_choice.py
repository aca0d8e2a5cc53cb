from __future__ import annotations

from ctrsel.records.size_choice import SizeChoice, TriedSize


def test_saved_and_loaded(tmp_path):
    tried = tuple(TriedSize(number=n, fields=3, values=n, loss=0.5 - n / 100, above=0.1, error=0.01) for n in (2, 5, 9))
    choice = SizeChoice(unit="values", tried=tried, best=9, chosen=5, seeds=(1, 2))
    choice.save(tmp_path / "c")
    assert SizeChoice.load(tmp_path / "c") == choice
    assert SizeChoice.load(tmp_path / "c").digest == choice.digest
