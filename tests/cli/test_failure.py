"""Every exception has its exit code and its sentence."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from ctrsel.cli.failure import Terminated, failure
from ctrsel.core.errors import ConfigError, DataError, LeakError, MissingExtraError, PromotionRefusedError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (MissingExtraError("x"), 2),
        (DataError("x"), 3),
        (LeakError("x"), 3),
        (PromotionRefusedError("x"), 4),
        (KeyboardInterrupt(), 130),
        (Terminated(), 143),
        (BrokenPipeError(), 141),
        (OSError(errno.ENOSPC, "No space left on device"), 3),
        (OSError(errno.EDQUOT, "quota"), 3),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), 2),
        (ZeroDivisionError("x"), 1),
        (OSError("something else"), 1),
    ],
)
def test_codes(error, code):
    assert failure(error).code == code


def test_full_disk_is_found_below_other_errors():
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/data/table.npy")
        except OSError as inner:
            raise RuntimeError("could not save") from inner
    except RuntimeError as error:
        found = failure(error)
    assert found.code == 3
    assert "/data/table.npy" in found.sentence


def test_a_full_disk_taken_for_a_bad_config_is_still_a_full_disk():
    found = failure(ConfigError("register.tracking_uri: cannot be used: database or disk is full"), place="runs/a")
    assert (found.code, found.sentence[:28]) == (3, "runs/a: no space is left on ")


def test_of_two_names_the_one_that_was_written():
    found = failure(OSError(errno.ENOSPC, "No space left on device", "/tmp/from", None, "/data/to"))
    assert found.sentence.startswith("/data/to:")


@pytest.mark.parametrize(
    "text",
    [
        "(sqlite3.OperationalError) database or disk is full",
        "No space left on device (os error 28)",
        "32768 requested and 8176 written",
        "File too large (os error 27)",
    ],
)
def test_full_disk_is_known_by_the_texts_of_libraries(text):
    found = failure(RuntimeError(text), place="runs/a")
    assert found.code == 3
    assert found.sentence.startswith("runs/a: no space is left")


def test_numpy_says_a_full_disk_in_a_known_way():
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError) as caught:  # noqa: PTH123, PT011
        np.save(full, np.zeros(100_000), allow_pickle=False)
    assert failure(caught.value).code == 3


def test_a_defect_says_so():
    found = failure(KeyError("x"))
    assert found.defect
    assert "defect" in found.sentence
