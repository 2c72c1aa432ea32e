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
    """Known from the Methods played literally: aligned trains give 99 %, a random start phase about 85 to 92 %."""
    pytest.importorskip("SALib")
    results = explain(tmp_path, settings=Settings(cards=110, networks=200, per_class=150))
    assert results["resolved"]
    rows = results["analyses"]["everything"]["rows"]
    best = next(row for row in rows if row["kind"] != "error")
    assert best["name"] == "start_phase_s"
    assert best["verdict"] == "matters"
    assert best["accuracy_at_high"] < best["accuracy_at_low"]
    assert (tmp_path / "explain.png").stat().st_size > 10_000


def test_design_beats_the_paper_at_no_more_writes(tmp_path):
    results = design(tmp_path, settings=DesignSettings(cards=26, replicas=5, candidates=72, per_class=60))
    found = results["confirmed"]
    assert found["beats"]
    assert found["winner"]["writes_max"] <= found["paper"]["writes_max"]
    assert found["winner"]["energy_J"] <= 1.02 * found["paper"]["energy_J"]  # the bound held for trains of the search
    assert found["gain_interval_95"][0] > 0.0
    assert results["materials"]
