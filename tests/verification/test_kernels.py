"""Do the kernels compute the same compiled and as plain Python? Tolerances stated before the first run.

Plain Python (NUMBA_DISABLE_JIT=1, a process of its own) raises where compiled code would read beyond an array,
overflow or make a nan. The cases are in tests/kernels.py; `make nojit` runs this file and prints what ran.

Whole numbers, that is every atom, event and random number, must be identical. Real numbers may differ by rounding, as
the compiler and numpy have each their own exp and log: 1e-12 of the largest of an array, 1e-9 where steps are chosen by
their error.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "kernels.py"
STEPPED = {"stack", "ion_film", "volatile", "vteam", "yakopcic", "stanford", "synapse"}
# compiled functions that no case calls, and why
SILENT: dict[str, str] = {}


def _cases():
    spec = importlib.util.spec_from_file_location("halidrift_kernel_cases", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASES


CASES = _cases()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """All numbers of the cases in plain Python, and how often each function ran."""
    file = tmp_path_factory.mktemp("plain") / "plain.npz"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(file)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(file) as numbers:
        return dict(numbers), json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", CASES)
def test_compiled_and_plain_python_agree(name, plain):
    found, _ = plain
    expected = {key.removeprefix(f"{name}/"): value for key, value in found.items() if key.startswith(f"{name}/")}
    numbers = {key: np.asarray(value) for key, value in CASES[name]().items()}
    assert set(numbers) == set(expected)
    assert any(value.size and np.ptp(value) > 0 for value in numbers.values() if value.dtype.kind == "f")
    for key, value in numbers.items():
        if value.dtype.kind in "biu":
            np.testing.assert_array_equal(expected[key], value, err_msg=key)
        else:
            size = np.abs(value, where=np.isfinite(value), out=np.zeros(value.shape)).max(initial=0.0)
            np.testing.assert_allclose(
                expected[key], value, rtol=0, atol=(1e-9 if name in STEPPED else 1e-12) * size, err_msg=key
            )


def test_every_compiled_function_ran(plain):
    calls = plain[1]["calls"]
    silent = {name for name, count in calls.items() if not count}
    print(f"\n{len(calls) - len(silent)} of {len(calls)} compiled functions ran in plain Python")
    for name, seconds in plain[1]["seconds"].items():
        print(f"  {name:26s} {seconds:5.2f} s")
    assert silent == set(SILENT)


def test_plain_python_notices_an_index_out_of_bounds(tmp_path):
    # what the lane is for: the table of neighbours points one site too far
    code = (
        "import numpy as np; from halidrift.fem import _volumes; "
        "print(_volumes.divergence(np.ones(3), np.arange(3), np.arange(1, 4), 3))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "IndexError" in done.stderr
