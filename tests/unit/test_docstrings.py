"""Docstrings of public objects tell every parameter, unit and what comes back; what still lacks some only gets fewer.

Which checks these are: tests/docstrings.py, which also lists what is missing.
"""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("numpydoc", reason="needs halidrift[docs]")

# public objects that still lack something; lower a number when fewer do, never raise one
ALLOWED = {"physics": 0, "kmc": 0, "fem": 0, "compact": 137, "pipeline": 155}


def _checks():
    spec = importlib.util.spec_from_file_location("halidrift_docstrings", Path(__file__).parents[1] / "docstrings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECKS = _checks()


@pytest.mark.parametrize("level", ALLOWED)
def test_no_more_objects_than_before_lack_a_description(level):
    lacking = CHECKS.lacking(level)
    told = "\n".join(f"{name}: {'; '.join(found)}" for name, found in lacking.items())
    assert len(lacking) <= ALLOWED[level], f"describe what is new (python tests/docstrings.py {level}):\n{told}"


def test_every_level_is_looked_at():
    assert set(ALLOWED) == set(CHECKS.LEVELS)
    for level in CHECKS.LEVELS:
        assert len(list(CHECKS.objects(level))) > 50


def undescribed_m(width_m, temperature_K):
    """A length.

    Parameters
    ----------
    temperature_K : float
    """
    return width_m * temperature_K


def described(width_m):
    """A length, m.

    Parameters
    ----------
    width_m : float, m, > 0
    """
    return width_m


def test_what_is_missing_is_found():
    found = CHECKS.faults(f"{__name__}.undescribed_m")
    assert [words.split()[0] for words in found] == ["PR01", "RT01", "UNIT"]
    assert CHECKS.faults(f"{__name__}.described") == []
