"""The real chain through `explain` and `design`; docs/explain.md has the numbers.

Expectations were written before the runs. Minutes on an idle core each.
"""

from __future__ import annotations

import pytest

from halidrift.pipeline.design import Settings as DesignSettings
from halidrift.pipeline.design import design
from halidrift.pipeline.explain import Settings, explain

pytestmark = [pytest.mark.slow, pytest.mark.validation]


def test_explain_resolves_the_network(tmp_path):
    """A measured device: the start phase first, as aligned trains give 99 % and random ones 85 to 92 % (DESIGN).

    The same was expected of the whole chain, and was wrong: there the hop barrier is first. What is asked of it since:
    a hop 0.1 eV higher lets most ions return to the electrode, so the accuracy falls with the barrier.
    """
    pytest.importorskip("SALib")
    results = explain(tmp_path, settings=Settings(cards=110, networks=200, per_class=150))
    assert results["resolved"]
    firsts = {
        name: next(row for row in analysis["rows"] if row["kind"] != "error")
        for name, analysis in results["analyses"].items()
    }
    assert firsts["device measured"]["name"] == "start_phase_s"
    assert firsts["everything"]["name"] == "hop_barrier_eV"
    for name in ("device measured", "everything"):
        assert firsts[name]["verdict"] == "matters"
        assert firsts[name]["accuracy_at_high"] < firsts[name]["accuracy_at_low"]
    assert (tmp_path / "explain.png").stat().st_size > 10_000


def test_design_beats_the_paper_at_no_more_writes(tmp_path):
    results = design(tmp_path, settings=DesignSettings(seed=2, cards=40, replicas=8, candidates=120, per_class=80))
    found = results["confirmed"]
    assert found["beats"]
    assert found["winner"]["writes_max"] <= found["paper"]["writes_max"]
    assert found["winner"]["energy_J"] <= 1.02 * found["paper"]["energy_J"]  # the bound held for trains of the search
    assert found["gain_interval_95"][0] > 0.0
    assert results["materials"]
