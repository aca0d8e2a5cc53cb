import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ctrsel.core.seeds import derive, generator, uniform_hash


@given(st.integers(-(2**70), 2**70), st.lists(st.text() | st.integers(), max_size=4))
def test_derive_is_a_63_bit_number_of_its_arguments(seed: int, names: list[str | int]) -> None:
    found = derive(seed, *names)
    assert 0 <= found < 2**63
    assert found == derive(seed, *names)
    assert found != derive(seed + 1, *names)
    assert found != derive(seed, *names, "more")


def test_names_do_not_run_together() -> None:
    assert (
        len({derive(1, "ab", "c"), derive(1, "a", "bc"), derive(1, "abc"), derive(11, "bc"), derive(1, "a", "b", "c")})
        == 5
    )


def test_derive_never_changes() -> None:
    # Saved splits and runs rest on these numbers: blake2b("1\x1ftrain"), little-endian, shifted by one.
    import hashlib

    expected = int.from_bytes(hashlib.blake2b(b"1\x1ftrain", digest_size=8).digest(), "little") >> 1
    assert derive(1, "train") == expected
    assert derive(np.int64(1), "train") == expected  # type: ignore[arg-type]


def test_streams_are_independent_of_each_other() -> None:
    a, b = generator(1, "a").random(5000), generator(1, "b").random(5000)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.05
    assert np.array_equal(a, generator(1, "a").random(5000))


def test_uniform_hash_is_uniform_and_depends_on_key_and_seed_only() -> None:
    keys = np.arange(20_000)
    found = uniform_hash(keys, seed=3)
    assert found.min() >= 0
    assert found.max() < 1
    assert stats.kstest(found, "uniform").pvalue > 1e-3
    shuffled = np.random.default_rng(0).permutation(keys)
    assert np.array_equal(uniform_hash(shuffled, seed=3), found[shuffled])
    assert np.array_equal(uniform_hash(keys[:10].astype(np.int32), seed=3), found[:10])
    assert not np.array_equal(uniform_hash(keys, seed=4), found)
    assert uniform_hash(np.array([-1, -(2**62)]), seed=0).max() < 1
    assert len(uniform_hash(np.zeros(0, dtype=np.int64), seed=0)) == 0
