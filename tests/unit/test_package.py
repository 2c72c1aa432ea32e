import subprocess
import sys

import numpy as np
import pytest

import halidrift as hd
from halidrift.physics.errors import InputError
from halidrift.physics.randomness import describe, generator, spawn


def test_import_is_light():
    code = (
        "import sys, halidrift; "
        "print([m for m in ('numpy', 'numba', 'fipy', 'matplotlib', 'sklearn', 'xarray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_everything_promised_is_there():
    for name in hd.__all__:
        assert getattr(hd, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = hd.nothing


def test_seeds_give_the_same_children():
    first, second = spawn(5, 3), spawn(np.random.default_rng(5), 3)
    assert [g.random() for g in first] == [g.random() for g in second]
    assert describe(generator(5)) == "entropy=5 spawn_key=()"


@pytest.mark.parametrize("bad", [-1, 1.5, "7", True])
def test_bad_seeds_raise(bad):
    with pytest.raises(InputError):
        generator(bad)


def test_a_used_generator_is_described_by_its_state():
    rng = generator(5)
    fresh = describe(rng)
    rng.random()
    assert describe(rng) != fresh
    assert "state" in describe(rng)
