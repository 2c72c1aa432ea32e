"""A change of one barrier on the card is felt at every level, in the right direction."""

import numpy as np
import pytest
from scipy import stats

from halidrift import Device, Waveform
from halidrift.compact import Volatile, fit
from halidrift.compact.characterise import relaxations, runs
from halidrift.kmc import FilamentKMC, ensemble
from halidrift.pipeline import FiringPatterns, Reservoir

DEVICE = Device.load("john2022-ogb")
# long pulses and long rests: both devices set in every pulse and relax within most rests
PULSES = Waveform.pulses(1.2, 30e-3, 150e-3, 2, compliance_A=1e-6, samples_per_period=300)


@pytest.fixture(scope="module")
def chain():
    """KMC ensemble, fitted cell and reservoir states for the card, and for 0.05 eV more to dissolve an Ag atom."""
    harder = DEVICE.with_parameters(dissolution_barrier_eV=DEVICE.value("dissolution_barrier_eV") + 0.05)
    task = FiringPatterns(per_class=20, rng=0)
    made = {}
    for name, device in (("card", DEVICE), ("harder", harder)):
        traces = ensemble.run(FilamentKMC(device), PULSES, 40, rng=1, processes=2)
        # one amplitude does not tell the growth voltage: hold it at the cathode's and anode's mean, kT/(q share/2)
        cell = fit(Volatile, [traces], fixed={"growth_voltage_V": 0.07})
        made[name] = (traces, cell, Reservoir(cell, nodes=30, interval_s=35e-3).transform(task.trains))
    return made


@pytest.mark.slow
def test_the_filament_holds_longer(chain):
    easy, hard = (
        [r.time_s for _, run in runs(chain[name][0]) for r in relaxations(run)] for name in ("card", "harder")
    )
    assert np.median(hard) > 1.5 * np.median(easy)
    assert stats.mannwhitneyu(easy, hard, alternative="less").pvalue < 1e-3


@pytest.mark.slow
def test_the_fitted_time_constant_is_longer(chain):
    easy, hard = (chain[name][1].parameters["relaxation_time_s"] for name in ("card", "harder"))
    error = np.hypot(easy.standard_error, hard.standard_error)
    assert hard.value - easy.value > 2 * error


@pytest.mark.slow
def test_the_reservoir_sees_other_states(chain):
    easy, hard = (chain[name][2] for name in ("card", "harder"))
    # it sets later and holds longer, so neither always conducts more: a third of a decade in a tenth of all nodes
    assert np.mean(np.abs(np.log10(hard) - np.log10(easy)) > 0.3) > 0.1


@pytest.mark.slow
def test_gold_gives_nothing_to_classify():
    gold = FilamentKMC(DEVICE.with_electrode("Au"))
    traces = ensemble.run(gold, PULSES, 3, rng=1, processes=1)
    assert float(traces.metal_atoms.max()) == 0.0
    np.testing.assert_allclose(traces.conductance, DEVICE.value("leakage_S"), rtol=1e-3)
