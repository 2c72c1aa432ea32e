"""The code sample of the design, as written, with the obvious names bound."""

import numpy as np
import pytest

import halidrift as hd


@pytest.mark.slow
def test_the_code_sample_of_the_design_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    db = hd.Database.load()
    v_br = db.select(material="CsPbBr3", species="V_Br", quantity="migration_barrier").one()
    device = hd.Device.load("john2022-ogb")  # data/devices/john2022-ogb.toml
    sweep = hd.Waveform.triangle(peaks_V=[2.0], rate_V_s=1.0, compliance_A=1e-6)
    pulses = hd.Waveform.pulses(
        amplitude_V=1.0, width_s=20e-3, period_s=40e-3, count=10, read_V=-0.5, read_width_s=5e-3, compliance_A=1e-6
    )

    atomistic = hd.kmc.FilamentKMC(device, temperature_K=300.0).simulate(pulses, rng=7)
    continuum = hd.fem.FilamentFEM(device, temperature_K=300.0).simulate(sweep)
    film = hd.fem.IonFilm(hd.Device.load("kim2019-n3")).simulate(pulses)

    cell = hd.compact.fit(hd.compact.Volatile, [atomistic])  # a model again: cell.simulate(pulses, rng=7)
    print(cell.parameters)  # values, units, standard errors, what each came from
    cell.export("cell.sp")
    cell.export("cell.va")

    # the obvious names: a smaller task than the default of 4975 a class, a split, and a non-volatile cell
    task = hd.pipeline.FiringPatterns(per_class=50, rng=0)
    states = hd.pipeline.Reservoir(cell, nodes=30, interval_s=35e-3).transform(task.trains, rng=1)
    train, test = task.split(0.1, rng=0)
    writes = [
        hd.kmc.FilamentKMC(device).simulate(
            hd.Waveform.triangle([2.0], 100.0, limit) + hd.Waveform.hold(0.1, 1e-3, compliance_A=limit, samples=5),
            rng=10 + n,
        )
        for n, limit in enumerate((1e-5, 1e-4, 3e-4, 1e-3))
    ]
    nonvolatile_cell = hd.compact.fit(hd.compact.NonVolatile, writes)
    readout = hd.pipeline.IccReadout(nonvolatile_cell, rng=2).fit(states[train], task.labels[train])
    print(readout.score(states[test], task.labels[test]), hd.citations(cell, readout), sep="\n")

    assert v_br.value_eV == 0.35
    for made in (atomistic, continuum, film, cell.simulate(pulses, rng=7)):
        assert hd.trace.check(made) is not None
        np.testing.assert_array_equal(made.voltage.units, "V")
    np.testing.assert_array_equal(atomistic.time, film.time)
    assert (tmp_path / "cell.sp").stat().st_size > 500
    assert (tmp_path / "cell.va").stat().st_size > 500
    assert states.shape == (200, 30)
    out = capsys.readouterr().out
    assert "relaxation_time_s" in out
    assert "John" in out
