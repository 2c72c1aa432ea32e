"""Virtual nodes: exact states of a leaky integrator, reads, noise, devices, scikit-learn conventions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from halidrift.physics import trace
from halidrift.physics.errors import InputError, ValidityError
from halidrift.physics.waveform import Waveform
from halidrift.pipeline.readout import DeltaRuleReadout
from halidrift.pipeline.reservoir import MaskedReservoir, Reservoir
from halidrift.pipeline.spikes import FiringPatterns

OFF, ON = 1e-9, 1e-6


class LeakyIntegrator:
    """x' = (1 - x)/grow while the voltage exceeds 0.5 V, -x/relax otherwise; exact between corners."""

    sources = ("Kim2019",)

    def __init__(self, relax_s: float = 15e-3, grow_s: float = 10e-3, jitter: float = 0.0):
        self.relax_s, self.grow_s, self.jitter = relax_s, grow_s, jitter

    def states(self, waveform: Waveform, times: np.ndarray) -> np.ndarray:
        t = np.union1d(waveform.time_s, times)
        high = waveform.voltage_at(0.5 * (t[1:] + t[:-1])) > 0.5
        x = np.zeros(t.size)
        for i, (dt, on) in enumerate(zip(np.diff(t), high, strict=True)):
            x[i + 1] = 1 - (1 - x[i]) * np.exp(-dt / self.grow_s) if on else x[i] * np.exp(-dt / self.relax_s)
        return OFF + (ON - OFF) * x[np.searchsorted(t, times)]


class Many(LeakyIntegrator):
    """Answers all trains in one call, as compact models do."""

    def respond(self, waveforms, times_s, *, rng=None):
        self.rng = rng
        states = np.array([self.states(w, np.asarray(times_s)) for w in waveforms])
        return states if rng is None else states * (1 + self.jitter * rng.standard_normal((len(states), 1)))


class One(LeakyIntegrator):
    """Has nothing but the one verb."""

    def simulate(self, waveform, *, rng=None):
        times = waveform.times_s
        conductance = self.states(waveform, times)
        if rng is not None:
            conductance = conductance * (1 + self.jitter * rng.standard_normal())
        voltage = waveform.voltage_at(times)
        return trace.make(
            waveform,
            model="leaky",
            device_voltage_V=voltage,
            current_A=conductance * voltage,
            conductance_S=conductance,
            parameters={},
        )


class Recorder(Many):
    """Keeps the stimuli that reached it."""

    def respond(self, waveforms, times_s, *, rng=None):
        self.seen, self.times = waveforms, times_s
        return super().respond(waveforms, times_s, rng=rng)


def pulse(width_s: float = 20e-3, duration_s: float = 0.15) -> Waveform:
    return Waveform.spikes([0.0], amplitude_V=1.0, width_s=width_s, duration_s=duration_s, compliance_A=1e-6)


@pytest.fixture(scope="module")
def task() -> FiringPatterns:
    return FiringPatterns(per_class=30, rng=0)


def test_nodes_of_one_pulse_are_the_exact_decay():
    """Exact but for the 1 us edges: relative 1e-3."""
    states = Reservoir(Many(), nodes=4, interval_s=35e-3).transform([pulse()])
    peak = 1 - np.exp(-20 / 10)
    exact = OFF + (ON - OFF) * peak * np.exp(-(35e-3 * np.arange(1, 5) - 20e-3) / 15e-3)
    assert states.shape == (1, 4)
    np.testing.assert_allclose(states[0], exact, rtol=1e-3)


def test_a_model_with_only_simulate_gives_the_same_states(task):
    """Both paths sample the same exact solution: equal to 1e-12."""
    trains = task.trains[::10]
    np.testing.assert_allclose(Reservoir(One()).transform(trains), Reservoir(Many()).transform(trains), rtol=1e-12)


def test_thirty_nodes_fill_the_pattern_to_its_end(task):
    cell = Recorder()
    assert Reservoir(cell).transform(task.trains).shape == (120, 30)
    assert cell.times[-1] == 1.05
    np.testing.assert_allclose(np.diff(cell.times), 35e-3, rtol=1e-12)


def test_first_node_can_be_moved():
    cell = Recorder()
    Reservoir(cell, nodes=3, interval_s=35e-3, first_s=0.0).transform([pulse()])
    np.testing.assert_allclose(cell.times, [0.0, 0.035, 0.07])


def test_a_memoryless_device_knows_only_whether_a_spike_is_on(task):
    """Relaxation 10 us: every node is off, or the on-state of a spike that is being applied."""
    reservoir = Reservoir(Many(relax_s=10e-6, grow_s=10e-6), first_s=17e-3)
    states = reservoir.transform(task.trains)
    on = np.array([train.voltage_at(reservoir.node_times_s) for train in task.trains]) > 0.5
    # nodes within 1 ms of an edge may lie on the 10 us tail
    clear = np.array(
        [[np.abs(train.time_s[1:-1] - t).min() > 1e-3 for t in reservoir.node_times_s] for train in task.trains]
    )
    np.testing.assert_allclose(states[on & clear], ON, rtol=1e-9)
    np.testing.assert_allclose(states[~on & clear], OFF, rtol=1e-9)


def test_a_longer_memory_gives_higher_states(task):
    short, long = (Reservoir(Many(relax_s=tau)).transform(task.trains) for tau in (5e-3, 30e-3))
    assert (long >= short).all()
    assert long.mean() > 1.5 * short.mean()


def test_relative_and_absolute_read_noise_have_the_stated_deviation(task):
    """3600 readings: deviation within 5 standard errors, 5/sqrt(7200)."""
    clean = Reservoir(Many()).transform(task.trains)
    relative = Reservoir(Many(), read_noise=0.05).transform(task.trains, rng=1) / clean - 1
    absolute = Reservoir(Many(), read_noise_S=2e-8).transform(task.trains, rng=1) - clean
    assert relative.std() == pytest.approx(0.05, rel=5 / np.sqrt(7200))
    assert absolute.std() == pytest.approx(2e-8, rel=5 / np.sqrt(7200))
    assert abs(np.corrcoef(absolute.ravel(), clean.ravel())[0, 1]) < 5 / np.sqrt(3600)


def test_seeds_replay_and_differ(task):
    for cell in (One(jitter=0.1), Many(jitter=0.1)):
        reservoir = Reservoir(cell, read_noise=0.01)
        a, b, c = (reservoir.transform(task.trains[:9], rng=seed) for seed in (1, 1, 2))
        assert np.array_equal(a, b)
        assert not np.isclose(a, c, rtol=1e-9, atol=0).any()


def test_without_a_seed_the_cell_is_left_to_itself(task):
    """A compact model answers rng=None with its mean; the reservoir must not hand it fresh entropy."""
    cell = Many(jitter=0.5)
    states = Reservoir(cell).transform(task.trains[:3])
    assert cell.rng is None
    np.testing.assert_array_equal(states, Reservoir(Many()).transform(task.trains[:3]))


def test_a_pattern_of_simulate_does_not_depend_on_those_after_it(task):
    reservoir = Reservoir(One(jitter=0.1))
    few, more = (reservoir.transform(task.trains[:n], rng=1) for n in (3, 6))
    np.testing.assert_array_equal(few, more[:3])


def test_logarithm(task):
    plain, log = (Reservoir(Many(), log_conductance=on).transform(task.trains[:5]) for on in (False, True))
    np.testing.assert_allclose(10**log, plain, rtol=1e-12)
    with pytest.raises(ValidityError, match="logarithm"):
        Reservoir(Many(), read_noise_S=1.0, log_conductance=True).transform(task.trains[:5], rng=0)


def test_read_pulses_replace_the_stimulus_before_every_node(task):
    """-0.5 V during the 5 ms that end at a node, the train elsewhere, the last read ends with the train."""
    cell = Recorder()
    reservoir = Reservoir(cell, read="pulse")
    reservoir.transform(task.trains)
    grid = np.linspace(0, 1.05, 4001)
    nodes = np.minimum(reservoir.node_times_s, 1.05)
    before = nodes[None, :] - grid[:, None]
    reading = ((before >= 0) & (before <= 5e-3)).any(axis=1)
    clear = ((before < -1e-5) | (before > 5e-3 + 1e-5)).all(axis=1)
    for train, seen in zip(task.trains, cell.seen, strict=True):
        np.testing.assert_array_equal(seen.voltage_at(grid[reading]), -0.5)
        np.testing.assert_allclose(seen.voltage_at(grid[clear]), train.voltage_at(grid[clear]), atol=1e-9)
        assert seen.duration_s == train.duration_s
        np.testing.assert_array_equal(seen.reads_s, nodes)
        assert (seen.compliance_A == 1e-6).all()


def test_each_device_answers_for_its_own_trains(task):
    cells = [Many(relax_s=5e-3), Many(relax_s=25e-3)]
    devices = np.arange(6) % 2
    states = Reservoir(cells).transform(task.trains[:6], devices=devices)
    for d in (0, 1):
        np.testing.assert_array_equal(
            states[devices == d], Reservoir(cells[d]).transform(task.trains[:6][devices == d])
        )


def test_devices_reach_a_cell_that_takes_them(task):
    class Array(Many):
        def respond(self, waveforms, times_s, *, rng=None, devices=None):
            return super().respond(waveforms, times_s) * (1.0 + devices[:, None])

    states = Reservoir(Array()).transform(task.trains[:3], devices=[0, 1, 2])
    np.testing.assert_allclose(states, Reservoir(Many()).transform(task.trains[:3]) * np.array([[1], [2], [3]]))


def test_scikit_learn_conventions(task):
    reservoir = Reservoir(Many(relax_s=7e-3), nodes=20, read_noise=0.01, rng=5)
    copy = clone(reservoir)
    assert copy.cell is not reservoir.cell
    assert copy.cell.relax_s == 7e-3
    assert {k: v for k, v in copy.get_params().items() if k != "cell"} == {
        k: v for k, v in reservoir.get_params().items() if k != "cell"
    }
    np.testing.assert_array_equal(copy.transform(task.trains[:4]), reservoir.fit_transform(task.trains[:4]))
    assert reservoir.get_feature_names_out()[-1] == "node_700.000ms"
    assert reservoir.sources == ("John2022", "Kim2019")
    network = make_pipeline(reservoir, DeltaRuleReadout(rng=0)).fit(task.trains, task.labels)
    assert network.score(task.trains, task.labels) > 0.9


def test_a_seed_does_not_give_the_test_set_the_noise_of_the_training_set(task):
    """Readings that are all noise tell nothing; a neighbour that shares its noise would tell the class of every one."""
    train, test = task.split(0.5)
    network = make_pipeline(Reservoir(Many(), read_noise_S=1.0, rng=7), KNeighborsClassifier(1))
    score = network.fit(task.trains[train], task.labels[train]).score(task.trains[test], task.labels[test])
    assert score < 0.6  # 1/4 by chance, 1 with shared noise
    first, second = (Reservoir(Many(), read_noise_S=1e-3, rng=7).transform(task.trains[part]) for part in (train, test))
    clean = Reservoir(Many())
    noise = [first - clean.transform(task.trains[train]), second - clean.transform(task.trains[test])]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 5 / np.sqrt(noise[0].size)
    with pytest.raises(InputError, match="negative"):
        Reservoir(Many(), rng=-1).transform(task.trains[:2])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"nodes": 31}, "ends before the last node"),
        ({"interval_s": 36e-3}, "ends before the last node"),
        ({"nodes": 0}, "nodes must be"),
        ({"nodes": np.nan}, "nodes must be"),
        ({"interval_s": -1.0}, "interval_s"),
        ({"first_s": -0.1}, "first_s"),
        ({"read": "peek"}, "Unknown way to read"),
        ({"read": "pulse", "read_width_s": 35e-3}, "does not fit"),
        ({"read_noise": -0.1}, "read_noise"),
        ({"cell": object()}, "needs a device"),
    ],
)
def test_bad_arguments_raise(task, wrong, message):
    with pytest.raises(InputError, match=message):
        Reservoir(**{"cell": Many(), **wrong}).transform(task.trains[:2])


def test_bad_trains_raise(task):
    with pytest.raises(InputError, match="no trains"):
        Reservoir(Many()).transform([])
    with pytest.raises(InputError, match=r"trains\[1\] is not a Waveform"):
        Reservoir(Many()).transform([task.trains[0], np.zeros(3)])
    with pytest.raises(InputError, match="another time"):
        Reservoir(Many(), nodes=1).transform([pulse(), Waveform([1.0, 2.0], [0.0, 0.0])])


def test_bad_devices_raise(task):
    two = task.trains[:2]
    with pytest.raises(InputError, match="need `devices`"):
        Reservoir([Many()]).transform(two)
    with pytest.raises(InputError, match="does not tell devices apart"):
        Reservoir(Many()).transform(two, devices=[0, 0])
    with pytest.raises(InputError, match="outside the cells"):
        Reservoir([Many()]).transform(two, devices=[0, 1])
    with pytest.raises(InputError, match="one device index"):
        Reservoir([Many()]).transform(two, devices=[0])


def test_a_cell_that_answers_nonsense_is_caught(task):
    class Broken(Many):
        def respond(self, waveforms, times_s, *, rng=None):
            return super().respond(waveforms, times_s) * np.nan

    with pytest.raises(InputError, match="finite conductance"):
        Reservoir(Broken()).transform(task.trains[:2])


# -- sequences and masks -------------------------------------------------------------------------------------


def test_series_are_states_in_the_layout_of_reservoirpy(task):
    """(series, timesteps, units): nodes are the steps, the device is the unit; ReservoirPy 0.4 takes rows of it."""
    reservoir = Reservoir(Many(), nodes=20)
    series = reservoir.series(task.trains[:4])
    assert series.shape == (4, 20, 1)
    np.testing.assert_array_equal(series[:, :, 0], reservoir.transform(task.trains[:4]))


def test_masked_nodes_of_one_sample_are_the_exact_solution():
    """Mask 1, 0, 1 on a leaky integrator: growth, decay, growth, 5 ms each; relative 1e-3 for the 1 us edges."""
    states = MaskedReservoir(Many(), nodes=3, node_s=5e-3, mask=[1, 0, 1]).transform([1.0, 0.0])
    assert states.shape == (1, 2, 3)
    x, expected = 0.0, []
    for on in (1, 0, 1, 0, 0, 0):
        x = 1 - (1 - x) * np.exp(-5 / 10) if on else x * np.exp(-5 / 15)
        expected.append(OFF + (ON - OFF) * x)
    np.testing.assert_allclose(states.ravel(), expected, rtol=1e-3)


def test_voltages_of_the_mask_reach_the_device():
    """low + (high - low) mask u, held to the end of each node."""
    cell = Recorder()
    MaskedReservoir(cell, nodes=2, node_s=5e-3, mask=[1.0, 0.5], low_V=0.2, high_V=1.2).transform([[0.5, 1.0]] * 2)
    for seen in cell.seen:
        np.testing.assert_allclose(seen.voltage_at([2.5e-3, 5e-3, 7.5e-3, 12e-3, 18e-3]), [0.7, 0.7, 0.45, 1.2, 0.7])
        assert (seen.compliance_A == 1e-6).all()
    np.testing.assert_allclose(cell.times, 5e-3 * np.arange(1, 5))


def test_masks_are_drawn_once_and_use_both_values():
    for seed in range(20):
        mask = MaskedReservoir(None, nodes=3, mask_seed=seed).mask_values
        assert set(mask) == {0.0, 1.0}
        np.testing.assert_array_equal(mask, MaskedReservoir(None, nodes=3, mask_seed=seed).mask_values)
    assert MaskedReservoir(None, nodes=1).mask_values.tolist() == [1.0]


def test_masked_reservoirs_follow_scikit_learn():
    reservoir = MaskedReservoir(Many(), nodes=4, rng=3)
    copy = clone(reservoir)
    assert copy.get_params()["nodes"] == 4
    inputs = np.random.default_rng(0).random((5, 6))
    np.testing.assert_array_equal(copy.transform(inputs), reservoir.fit_transform(inputs))
    assert reservoir.sources == ("Kim2019",)
    assert reservoir.period_s == pytest.approx(20e-3)


@pytest.mark.parametrize(
    ("wrong", "series"),
    [
        ({"nodes": 0}, [0.5]),
        ({"node_s": 1e-6}, [0.5]),
        ({"mask": [1.0]}, [0.5]),
        ({"mask": [2.0, 0.0]}, [0.5]),
        ({"high_V": 0.0}, [0.5]),
        ({}, [1.5]),
        ({}, [np.nan]),
        ({}, []),
    ],
)
def test_bad_masks_raise(wrong, series):
    with pytest.raises(InputError):
        MaskedReservoir(Many(), **{"nodes": 2, **wrong}).transform(series)


def test_kinetic_monte_carlo_is_a_cell_like_any_other():
    """A pulse that ends at a node leaves the filament ON, one that ended 60 ms before has relaxed; seeds replay."""
    from halidrift import Device
    from halidrift.kmc import FilamentKMC

    device = FilamentKMC(Device.load("john2022-ogb"))
    trains = [
        Waveform.spikes([onset], amplitude_V=1.0, width_s=20e-3, duration_s=0.1, compliance_A=1e-6)
        for onset in (0.07, 0.01)
    ]
    reservoir = Reservoir(device, nodes=1, first_s=0.089)
    states = reservoir.transform(trains, rng=1)
    assert states[0, 0] > 10 * states[1, 0]
    np.testing.assert_array_equal(states, reservoir.transform(trains, rng=1))
