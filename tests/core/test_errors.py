import pytest

from ctrsel.core import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("CtrselError", 1),
        ("ConfigError", 2),
        ("MissingExtraError", 2),
        ("RefusedError", 2),
        ("DataError", 3),
        ("LeakError", 3),
        ("PromotionRefusedError", 4),
        ("UnreachableError", 5),
    ],
)
def test_exit_codes(kind: str, code: int) -> None:
    assert getattr(errors, kind).exit_code == code
    assert issubclass(getattr(errors, kind), errors.CtrselError)


def test_unknown_name_lists_all_and_names_the_nearest() -> None:
    error = errors.unknown_name("selector", "optsf", ["gated", "optfs"], place="select")
    assert isinstance(error, errors.ConfigError)
    assert str(error) == "select: unknown selector 'optsf'; did you mean 'optfs'? Known: gated, optfs"
    assert str(errors.unknown_name("x", "q", [])) == "unknown x 'q'. Known: none"
    assert str(errors.unknown_name("x", "zzz", ["aaa"])) == "unknown x 'zzz'. Known: aaa"
