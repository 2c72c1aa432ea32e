import ast
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import halidrift as hd
from halidrift.physics.errors import ConvergenceError, DataError, InputError, OutputError
from halidrift.physics.randomness import describe, generator, recall, spawn


def test_import_is_light():
    code = (
        "import sys, halidrift; "
        "print([m for m in ('numpy', 'numba', 'fipy', 'matplotlib', 'sklearn', 'xarray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


ROOT = Path(hd.__file__).resolve().parent
LEVELS = ("physics", "kmc", "fem", "compact", "pipeline")
# which modules may import a heavy library; everything else stays free of it
FENCES = {
    "ase": {"physics/crystals.py", "physics/defects.py", "physics/networks.py", "physics/neb/*"},
    "chgnet": {"physics/neb/*"},
    "distributed": {"kmc/replicas.py"},
    "fipy": {"fem/*"},
    "matplotlib": {"pipeline/figures/*"},
    "numba": {"*/_*.py"},
    "torch": {"physics/neb/*"},
    "zarr": {"kmc/store.py"},
}


def imported(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("library", FENCES)
def test_a_heavy_library_stays_behind_its_fence(library):
    found = {
        file.relative_to(ROOT) for level in LEVELS for file in (ROOT / level).rglob("*.py") if library in imported(file)
    }
    outside = {str(file) for file in found if not any(file.match(pattern) for pattern in FENCES[library])}
    assert outside == set()


def test_the_fences_see_what_is_there():
    assert "numba" in set(imported(ROOT / "kmc" / "_selection.py"))
    assert "ase" in set(imported(ROOT / "physics" / "networks.py"))
    assert "fipy" in set(imported(ROOT / "fem" / "equations.py"))


def test_everything_promised_is_there():
    for name in hd.__all__:
        assert getattr(hd, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = hd.nothing


def test_seeds_give_the_same_children():
    first, second = spawn(5, 3), spawn(np.random.default_rng(5), 3)
    assert [g.random() for g in first] == [g.random() for g in second]


@pytest.mark.parametrize(
    "use", [lambda g: g, lambda g: g.random() and g, lambda g: g.spawn(2) and g, lambda g: g.spawn(3)[2]]
)
def test_a_generator_is_recalled_from_what_a_trace_records(use):
    rng = use(generator(5))
    again = recall(describe(rng))
    assert [g.random() for g in (again, *again.spawn(2))] == [g.random() for g in (rng, *rng.spawn(2))]


@pytest.mark.parametrize("bad", [-1, 1.5, "7", True])
def test_bad_seeds_raise(bad):
    with pytest.raises(InputError):
        generator(bad)


def test_errors_cross_processes_whole():
    for error in (
        InputError("wrong", got=3, allowed="4", action="Try 4"),
        DataError("missing unit", file="card.toml", key="a.unit", allowed="eV"),
        OutputError("could not be written", got="disk full"),
        ConvergenceError("diverged", got=1e3),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)
