"""Figures of merit read off traces that are made to have them, and the report over all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from halidrift import Waveform
from halidrift.compact import characterise, plasticity
from halidrift.physics import synapse
from halidrift.physics import trace as traces
from halidrift.physics.constants import BOLTZMANN_EV_K
from halidrift.physics.errors import InputError
from halidrift.physics.retention import RetentionWarning


def made(wave, conductance, *, limit=np.inf, **attrs):
    """A trace as a probe station records it: ohmic at each instant, with the current limit of the source."""
    V, G = wave.voltage_at(wave.times_s), np.broadcast_to(np.asarray(conductance, dtype=float), wave.times_s.shape)
    held = np.clip(V, -limit / G, limit / G)
    return traces.make(
        wave, model="test", device_voltage_V=held, current_A=held * G, conductance_S=G, parameters={}, attrs=attrs
    )


def test_no_module_hides_a_function():
    import halidrift.compact.characterise as package

    modules = {file.stem for file in Path(package.__file__).parent.glob("*.py")}
    assert modules.isdisjoint(characterise.__all__)
    for name in characterise.__all__:
        assert callable(getattr(characterise, name))


# -- switching ----------------------------------------------------------------------------------------------------

TAU, RISE, ON = 2e-3, 1e-6, 1e-5
PULSE = Waveform.pulses(1.5, 40e-3, 80e-3, 1, samples_per_period=8000)  # 20 time constants, 10 us apart


def exponential(low=0.0, high=ON):
    t = np.maximum(PULSE.times_s - RISE, 0.0)
    return np.maximum(low + (high - low) * -np.expm1(-t / TAU), 1e-15)


@pytest.mark.parametrize("reference", ["change", "final"])
def test_an_exponential_switches_in_tau_ln_9_with_a_known_energy(reference):
    (found,) = characterise.switchings(made(PULSE, exponential()), reference=reference)
    # a straight line over 10 us misses the curve by (10 us / tau)^2 / 8 = 3e-6 of it
    assert found.time_s == pytest.approx(TAU * np.log(9.0), rel=1e-4)
    assert found.delay_s == pytest.approx(RISE + TAU * np.log(10 / 9), abs=2e-6)
    # V^2 G (t90 - t10 - tau (0.9 - 0.1)), and V^2 G (width - tau) over the pulse
    assert found.energy_J == pytest.approx(1.5**2 * ON * TAU * (np.log(9.0) - 0.8), rel=1e-4)
    assert found.stimulus_energy_J == pytest.approx(1.5**2 * ON * (40e-3 - TAU), rel=1e-3)
    assert found.settled
    assert found.after_S == pytest.approx(ON, rel=1e-6)


def test_a_reset_switches_in_tau_ln_9_too():
    (found,) = characterise.switchings(made(PULSE, exponential(low=1e-5, high=1e-8)))
    assert found.time_s == pytest.approx(TAU * np.log(9.0), rel=1e-3)
    assert found.before_S > found.after_S
    with pytest.raises(InputError, match="mean nothing where it falls"):
        characterise.switchings(made(PULSE, exponential(low=1e-5, high=1e-8)), reference="final")


def test_read_noise_leaves_the_switching_time_where_it_is():
    times = []
    for seed in range(10):
        noise = np.exp(0.05 * np.random.default_rng(seed).standard_normal(PULSE.times_s.size))
        times.append(characterise.switchings(made(PULSE, exponential(low=1e-9) * noise))[0].time_s)
    assert np.mean(times) == pytest.approx(TAU * np.log(9.0), rel=0.1)
    assert np.std(times) < 0.15 * TAU * np.log(9.0)


def test_what_a_probe_station_measures_at_no_voltage_is_no_state():
    trace = loops([0.805], [1.2]).copy(deep=True)
    trace["conductance"].values[0] = 0.0  # 0 A at 0 V
    assert characterise.set_voltage(trace) == pytest.approx(0.805, abs=0.01)
    trace["conductance"].values[0] = -1e-12
    with pytest.raises(InputError, match=r"conductance is negative.*too small to read"):
        characterise.set_voltage(trace)


def test_where_the_first_conductance_counts_the_two_references_differ():
    trace = made(PULSE, exponential(low=5e-6))
    assert characterise.switchings(trace, factor=1.5)[0].time_s == pytest.approx(TAU * np.log(9.0), rel=1e-3)
    # from 50 % at the start to 90 % of the final: tau ln 5
    late = characterise.switchings(trace, factor=1.5, reference="final")[0]
    assert late.time_s == pytest.approx(TAU * np.log(5.0), rel=5e-3)


def test_a_jump_is_known_to_its_resolution_only():
    wave = Waveform.pulses(1.0, 20e-3, 40e-3, 1, samples_per_period=40)
    (found,) = characterise.switchings(made(wave, np.where(wave.times_s > 5.5e-3, 1e-6, 1e-9)))
    assert found.time_s < found.resolution_s == pytest.approx(1e-3, rel=1e-6)
    assert found.delay_s == pytest.approx(5.5e-3, abs=0.5e-3)


def test_the_energy_under_a_current_limit_is_that_of_the_device_not_of_the_source():
    wave = Waveform.pulses(2.0, 20e-3, 40e-3, 1, compliance_A=1e-6, samples_per_period=4000)
    trace = made(wave, np.where(wave.times_s > 1e-3, 1e-4, 1e-9), limit=1e-6)
    (found,) = characterise.switchings(trace)
    # 1 uA through 1e-4 S for 19 ms, and 2 V on 1e-9 S for 1 ms: the source would give 2 V x 1 uA
    expected = 1e-12 / 1e-4 * 19e-3 + 4.0 * 1e-9 * 1e-3
    assert found.stimulus_energy_J == pytest.approx(expected, rel=0.05)
    assert found.stimulus_energy_J < 0.01 * 2.0 * 1e-6 * 19e-3


def test_work_is_exact_for_straight_lines_and_refuses_the_rest():
    wave = Waveform(np.array([0.0, 2.0]), np.array([0.0, 2.0]))
    trace = made(wave, 1.0)
    assert characterise.work(trace, 0.0, 2.0) == pytest.approx(8.0 / 3.0, rel=1e-12)
    assert characterise.work(trace, 0.5, 1.0) == pytest.approx((1.0 - 0.125) / 3.0, rel=1e-12)
    with pytest.raises(InputError, match="outside the trace"):
        characterise.work(trace, 1.0, 3.0)
    with pytest.raises(InputError, match="Unknown rule"):
        characterise.work(trace, 0.0, 1.0, rule="simpson")


def test_an_unsettled_pulse_and_one_that_does_nothing():
    short = Waveform.pulses(1.5, 2e-3, 80e-3, 1, samples_per_period=8000)
    rising = np.maximum(ON * -np.expm1(-np.minimum(short.times_s, 2e-3) / TAU), 1e-15)
    assert not characterise.switchings(made(short, rising))[0].settled
    assert characterise.switchings(made(PULSE, 1e-6)) == []
    for options, told in (({"factor": 1.0}, "factor"), ({"rest_V": -1.0}, "rest_V"), ({"reference": "x"}, "reference")):
        with pytest.raises(InputError, match=told):
            characterise.switchings(made(PULSE, 1e-6), **options)


# -- sweeps -------------------------------------------------------------------------------------------------------


def loops(sets, resets, *, rate=1.0, on=1e-4, off=1e-8, reverse=1.0, limit=np.inf, **attrs):
    """Bipolar loops, one a set voltage; `reverse` multiplies the current at negative voltage."""
    wave = Waveform.triangle([2.0, -2.0] * len(sets), rate, limit, samples_per_V=100.0)
    V = wave.voltage_at(wave.times_s)
    state, G = False, []
    for t, v in zip(wave.times_s, V, strict=True):
        k = min(int(t * rate / 8.0), len(sets) - 1)  # a loop is 8 V long
        state = (state or v > sets[k]) and not v < -resets[k]
        G.append((on if state else off) * (reverse if v < 0 else 1.0))
    return made(wave, np.array(G), limit=limit, **attrs)


def test_set_and_reset_voltages_of_every_cycle():
    sets, resets = [0.805, 0.905, 1.005, 1.105], [1.205, 1.305, 1.405, 1.505]
    trace = loops(sets, resets)
    assert len(characterise.cycles(trace)) == 4
    found = characterise.set_voltages(trace)
    assert found.values == pytest.approx(sets, abs=0.01)
    assert (found.number, found.censored, found.unit) == (4, 0, "V")
    assert characterise.reset_voltages(trace).values == pytest.approx(resets, abs=0.01)
    assert characterise.on_off_ratios(trace).values == pytest.approx([1e4] * 4, rel=1e-9)


def test_a_cycle_that_never_sets_is_censored_and_one_that_is_on_is_left_out():
    never = characterise.set_voltages(loops([0.8, 3.0, 0.9], [1.2, 1.2, 1.2]))
    assert never.above.tolist() == [False, True, False]
    assert never.values[1] == 2.0
    stuck = loops([0.8, 0.8, 0.8], [1.2, 3.0, 1.2])
    assert characterise.set_voltages(stuck).number == 2  # the third begins ON
    reset = characterise.reset_voltages(stuck)
    assert reset.above.tolist() == [False, True, False]
    with pytest.raises(InputError, match="No RESET to look for"):
        characterise.reset_voltages(loops([3.0], [1.2]))


def test_the_curvature_of_a_device_that_never_switches_is_no_set():
    wave = Waveform.triangle([2.0], 1.0, samples_per_V=100.0)
    V = wave.voltage_at(wave.times_s)
    u = np.maximum(np.abs(V) / 0.3, 1e-9)
    curved = 1e-9 * np.sinh(u) / u  # rises 59-fold to 2 V
    with pytest.raises(InputError, match="same curve"):
        characterise.set_voltage(made(wave, curved))
    found = characterise.set_voltages(made(wave, curved))
    assert (found.number, found.censored) == (1, 1)
    assert found.values[0] == pytest.approx(2.0)
    # the same with a SET at 1.2 V, and without a way back
    on = np.where(wave.times_s > 1.2, 1e-5, curved)
    assert characterise.set_voltage(made(wave, on), ratio=100.0) == pytest.approx(1.2, abs=0.02)
    half = made(wave, on).isel(time=slice(0, V.size // 2))
    assert characterise.set_voltage(half, ratio=100.0) == pytest.approx(1.2, abs=0.02)


def test_devices_and_cycles_along_dimensions():
    both = xr.concat(
        [loops([v], [1.2]) for v in (0.805, 1.005)],
        "device",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    )
    assert characterise.set_voltages(both).values == pytest.approx([0.805, 1.005], abs=0.01)
    assert [device for device, _ in characterise.each(both)] == ["trace 0, device 0", "trace 0, device 1"]


def test_rectification_in_both_states_and_what_it_needs():
    trace = loops([0.8, 0.8], [1.2, 1.2], reverse=0.01)
    found = characterise.rectification(trace)
    assert (found.lrs, found.hrs) == pytest.approx((100.0, 100.0), rel=1e-9)
    # one loop alone does not show the state after its RESET at positive voltage
    alone = characterise.rectification(characterise.cycles(trace)[0])
    assert alone.lrs == pytest.approx(100.0)
    assert np.isnan(alone.hrs)
    with pytest.raises(InputError, match="No negative voltage"):
        characterise.rectification(made(Waveform.triangle([2.0], 1.0), 1e-6))
    with pytest.raises(InputError, match="Neither state"):
        characterise.rectification(trace, read_V=5.0)


def test_the_rate_of_a_sweep_and_the_set_voltage_on_it():
    assert characterise.sweep_rate(loops([0.8], [1.2], rate=5.0)) == pytest.approx(5.0, rel=1e-9)
    with pytest.raises(InputError, match="does not sweep"):
        characterise.sweep_rate(made(PULSE, 1e-6))
    sweeps = [loops([0.805 + 0.1 * k], [1.2], rate=10.0**k) for k in (-1, 0, 1, 2)]
    found = characterise.rate_dependence(sweeps)
    assert found.slope_V == pytest.approx(0.1, abs=0.005)
    assert found.verdict == "rises"
    with pytest.raises(InputError, match="two rates or more"):
        characterise.rate_dependence(sweeps[:1])


def test_rounded_time_stamps_and_pauses_leave_the_rate():
    V = np.concatenate([np.arange(0.0, 1.2, 0.02), np.full(40, 1.2), np.arange(1.22, 2.0, 0.02), [2.0]])
    t = 2.5e-3 * np.arange(V.size)  # 8 V/s, and a wait of 0.1 s at 1.2 V
    t[100:] += 0.5  # and one more, without points
    for digits in (6, 3):
        run = made(Waveform(np.round(t, digits), V, np.array(np.inf)), 1e-6)
        run = run.drop_attrs()
        times = np.round(t, digits)
        run = run.interp(time=times)
        for name, unit in (("voltage", "V"), ("device_voltage", "V"), ("current", "A"), ("conductance", "S")):
            run[name].attrs["units"] = unit
        # half a step of rounding at either end of each of three stretches
        assert characterise.sweep_rate(run) == pytest.approx(8.0, rel=1e-6 if digits == 6 else 0.03)


def test_nearly_equal_rates_are_one():
    from halidrift.compact.characterise.scaling import rates_apart

    assert rates_apart([8.0, 0.5, 7.97, 2.0, 8.1]).tolist() == [2, 0, 2, 1, 2]
    same = [loops([0.805 + 0.1 * k], [1.2], rate=rate) for k, rate in enumerate((1.0, 1.01, 0.99))]
    with pytest.raises(InputError, match="two rates or more"):
        characterise.rate_dependence(same)
    assert characterise.report(same)["set voltage"].number == 3


def measured(trace, limit):
    """As a probe station records it that knows the voltage of the source alone: a current limit is a lower bound."""
    held = np.abs(trace["voltage"] * trace["conductance"]) > limit
    trace = trace.assign(device_voltage=trace["voltage"], lower_bound=("time", held.values * 1.0, {"units": "1"}))
    current = np.clip(trace["voltage"] * trace["conductance"], -limit, limit).assign_attrs(units="A")
    G = xr.where(held, np.abs(current / trace["voltage"]), trace["conductance"]).assign_attrs(units="S")
    return trace.assign(current=current, conductance=G, device_voltage=trace["voltage"].assign_attrs(units="V"))


@pytest.mark.parametrize("one_side", [True, False])
def test_the_limit_of_a_measured_trace_is_its_lower_bound(one_side):
    # ON carries 50 uA at 0.5 V: held at 10 uA there, forwards or both ways, and not at 0.05 V
    trace = measured(loops([0.8, 0.9], [1.2, 1.2], reverse=0.01 if one_side else 1.0), 1e-5)
    found = characterise.report([trace], rectification_V=0.5, read_V=0.05)
    assert found["on/off ratio (power)"].note.startswith("current at 2 V is the compliance in 1 runs: a lower bound")
    assert "compliance" not in found["on/off ratio (read)"].note
    assert "compliance in 1 runs" in characterise.report([trace], read_V=0.2)["LRS conductance"].note
    with pytest.raises(InputError, match="rectification ratio, LRS"):
        _ = found["rectification ratio, LRS"]  # left out; the HRS is not held back
    assert found["rectification ratio, HRS"].value == pytest.approx(100.0 if one_side else 1.0)
    free = characterise.report([trace], rectification_V=0.05)["rectification ratio, LRS"]
    assert (free.value, free.note) == (pytest.approx(100.0 if one_side else 1.0), "")
    alone = characterise.cycles(trace)[0]
    with pytest.raises(InputError, match="holds back the current"):
        characterise.rectification(alone)


def test_one_held_loop_among_others_is_left_out_of_the_rectification():
    given = [measured(loops([0.8], [1.2]), limit) for limit in (1e-5, 1e-3)]
    found = characterise.report(given)["rectification ratio, LRS"]
    assert (found.value, found.number) == (pytest.approx(1.0), 1)
    assert "1 of 2 left out" in found.note


def relaxing(hold, *, sets=(0.805, 0.905)):
    """Bipolar loops that set at positive voltage and are OFF below `hold`."""
    wave = Waveform.triangle([2.0, -2.0] * len(sets), 1.0, samples_per_V=100.0)
    state, G = False, []
    for t, v in zip(wave.times_s, wave.voltage_at(wave.times_s), strict=True):
        state = (state or v > sets[min(int(t / 8.0), len(sets) - 1)]) and v > hold
        G.append(1e-4 if state else 1e-8)
    return made(wave, np.array(G))


def test_a_ratio_of_two_states_is_doubted():
    gone = characterise.rectification(relaxing(0.2))
    assert (gone.lrs_doubt, gone.hrs_doubt) == ("changed", "")
    assert gone.lrs == pytest.approx(1e4)
    reset = characterise.rectification(loops([0.8, 0.8], [0.305, 0.305]))
    assert reset.lrs_doubt == "changed"
    set_below = characterise.rectification(loops([0.3, 0.3], [1.2, 1.2]))
    assert set_below.hrs_doubt == "changed"
    # no doubt: a rectifier with a window in either direction, a cell that is never reset
    for sure in (loops([0.8, 0.8], [1.2, 1.2], reverse=0.01), loops([0.8, 0.8], [3.0, 3.0])):
        found = characterise.rectification(sure)
        assert (found.lrs_doubt, found.hrs_doubt) == ("", "")
    note = characterise.report([relaxing(0.2)])["rectification ratio, LRS"].note
    assert note.startswith("doubtful in 2 of 2")


def test_a_volatile_cell_that_is_read_too_late_is_doubted():
    trace = relaxing(0.205)
    found = characterise.report([trace])
    assert found["on/off ratio (read)"].value == pytest.approx(1.0)
    for name in ("on/off ratio (read)", "LRS conductance"):
        assert "2 of 2 cycles that set have relaxed before they are read at 0.1 V" in found[name].note
        assert "ON down to 0.21 V (median)" in found[name].note
    assert "relaxed" not in found["HRS conductance"].note
    better = characterise.report([trace], read_V=0.3)
    assert better["on/off ratio (read)"].value == pytest.approx(1e4)
    assert "relaxed" not in better["on/off ratio (read)"].note


def test_a_spread_below_the_steps_of_the_voltage_is_not_resolved():
    same = characterise.report([loops([0.805, 0.805], [1.2, 1.2])])
    assert "steps of 0.01 V: interpolated" in same["set voltage"].note
    assert "not resolved" in same["reset voltage (magnitude)"].note
    assert "not resolved" not in characterise.report([loops([0.805, 0.905], [1.2, 1.2])])["set voltage"].note


# -- endurance, retention -----------------------------------------------------------------------------------------


def cycling(count, programs, reads_after):
    """A test of pulses: `programs` (V) in each cycle, each 5 ms, a read at 0.1 V after those named (-1: before all)."""
    t, v, reads, now = [0.0], [0.0], [], 0.0

    def level(volts, width, *, read=False):
        nonlocal now
        t.extend([now + 1e-6, now + width, now + width + 1e-6])
        v.extend([volts, volts, 0.0])
        if read:
            reads.append(now + width)
        now += width + 2e-3
        t.append(now)
        v.append(0.0)

    for _ in range(count):
        if -1 in reads_after:
            level(0.1, 1e-3, read=True)
        for i, volts in enumerate(programs):
            level(volts, 5e-3)
            if i in reads_after:
                level(0.1, 1e-3, read=True)
    return Waveform(np.array(t), np.array(v), reads_s=np.array(reads))


@pytest.mark.parametrize("volatile", [True, False])
def test_endurance_of_a_pulsed_test_with_reads_in_pairs(volatile):
    wave = cycling(6, [2.0] if volatile else [5.0, -7.0], {-1, 0} if volatile else {0, 1})
    G = np.full(wave.times_s.size, 1e-8)
    pairs = wave.reads_s.reshape(-1, 2)
    for k, (first, second) in enumerate(pairs):
        lrs = second if volatile else first
        G[np.abs(wave.times_s - lrs) < 2e-3] = 1e-5 if k < 4 else 3e-8
    found = characterise.endurance(made(wave, G))
    assert (found.cycles, found.censored, found.cause) == (4, False, "LRS fell")
    assert found.window_median == pytest.approx(1e3, rel=1e-6)
    many = characterise.endurances([made(wave, G), made(wave, np.where(G > 1e-7, 1e-5, G))])
    assert many.values.tolist() == [4.0, 4.0]


def test_a_train_of_pulses_is_no_endurance_test():
    for wave in (
        Waveform.pulses(1.0, 5e-3, 20e-3, 6, read_V=0.1, read_width_s=1e-3),
        synapse.pair(),
        cycling(3, [5.0, -7.0], {0}),
    ):
        with pytest.raises(InputError, match="not those of an endurance test"):
            characterise.endurance(made(wave, 1e-6))


def test_endurance_of_sweeps():
    found = characterise.endurance(loops([0.8] * 5 + [3.0] * 2, [1.2] * 7))
    assert (found.cycles, found.censored, found.cause) == (5, False, "LRS fell")
    assert characterise.endurance(loops([0.8] * 3, [1.2] * 3)).censored


def watch(kelvin, lifetime, duration):
    """A write, then a decay of ln G that passes one half after `lifetime`."""
    wave = Waveform.pulses(1.0, 1e-3, 2e-3, 1) + Waveform.hold(0.1, duration, samples=400, first_s=0.1)
    t = np.maximum(wave.times_s - 1.001e-3, 0.0)
    G = np.where(wave.times_s < 0.5e-3, 1e-9, 1e-5 * 0.5 ** (t / lifetime))
    return made(wave, np.maximum(G, 1e-9), temperature_K=kelvin)


def test_retention_extrapolates_from_traces_with_censored_ones():
    spread = np.exp(0.1 * np.array([-1.0, 0.0, 1.0]))
    given = [
        watch(T, 1e-11 * np.exp(0.9 / (BOLTZMANN_EV_K * T)) * s, 3e5) for T in (320.0, 340.0, 360.0) for s in spread
    ]
    first = characterise.retention_time(given[0])
    assert first.time_s == pytest.approx(1e-11 * np.exp(0.9 / (BOLTZMANN_EV_K * 320.0)) * spread[0], rel=1e-2)
    assert first.temperature_K == 320.0
    line = characterise.retention(given)
    assert line.activation_energy_eV == pytest.approx(0.9, abs=0.01)
    assert line.at(300.0)[0] == pytest.approx(1e-11 * np.exp(0.9 / (BOLTZMANN_EV_K * 300.0)), rel=0.15)
    cut = [
        watch(T, 1e-11 * np.exp(0.9 / (BOLTZMANN_EV_K * T)) * s, 1.4e3) for T in (320.0, 340.0, 360.0) for s in spread
    ]
    found = characterise.retention(cut)
    assert found.failures < 9
    assert found.activation_energy_eV == pytest.approx(0.9, abs=2.5 * found.activation_energy_stderr_eV)


def test_retention_of_the_high_resistance_state_and_complaints():
    wave = Waveform.hold(0.1, 100.0, samples=200)
    rising = made(wave, 1e-9 * np.exp(wave.times_s / 20.0))
    assert characterise.retention_time(rising, state="hrs").time_s == pytest.approx(20.0 * np.log(2.0), rel=1e-2)
    assert characterise.retention_time(rising, state="lrs").censored
    for options, told in (({"fraction": 1.5}, "fraction is out of range"), ({"state": "off"}, "Unknown state")):
        with pytest.raises(InputError, match=told):
            characterise.retention_time(rising, **options)
    with pytest.raises(InputError, match="does not end with a watch"):
        characterise.retention_time(made(Waveform(np.array([0.0, 1.0]), np.array([0.0, 1.0])), 1e-6))


# -- spikes -------------------------------------------------------------------------------------------------------


def growing(wave, base=1e-9, step=0.25):
    """Conductance that grows by `step` times base with every spike."""
    spikes = np.searchsorted(wave.reads_s, wave.times_s - 0.9e-3 + 1e-3, side="right")
    return made(wave, base * (1.0 + step * spikes))


@pytest.mark.parametrize(
    ("wave", "name", "at"),
    [
        (synapse.single(), "EPSC", 1),
        (synapse.pair(60e-3), "PPF", 60e-3),
        (synapse.frequency(10.0), "SFDP", 10.0),
        (synapse.amplitudes(), "SVDP", -1.8),
        (synapse.durations(), "SDDP", 0.2),
        (synapse.numbers(), "SNDP", 50),
        (synapse.update(), "LTP/LTD", 40),
        (Waveform.pulses(1.0, 5e-3, 20e-3, 3, read_V=0.1, read_width_s=1e-3), "SNDP", 3),
    ],
)
def test_every_protocol_is_recognised(wave, name, at):
    found = characterise.plasticity_of(made(wave, 1e-9 * (1.0 + wave.times_s)))
    assert found.name == name
    assert found.at[-1] == pytest.approx(at, rel=1e-4)
    reads = 1.0 + wave.reads_s
    assert found.indices == pytest.approx(reads / reads[0], rel=1e-6)
    # against the conductance before the first spike
    before = 10e-3 if wave.voltage_V[0] != 0 else 0.0
    assert found.change == pytest.approx(reads[-1] / (1.0 + before) - 1.0, rel=1e-6)


def test_spikes_are_measured_and_others_refused():
    spikes = characterise.spikes_of(made(synapse.durations(), 1e-9))
    assert spikes.width_s == pytest.approx(synapse.DURATIONS_S, abs=2e-6)
    assert spikes.amplitude_V.tolist() == [-1.0] * 10
    assert spikes.read_V == -0.01
    mixed = synapse.spikes([-1.0, -0.5, -1.5], 20e-3, 20e-3)
    with pytest.raises(InputError, match="no known protocol"):
        characterise.plasticity_of(made(mixed, 1e-9))
    with pytest.raises(InputError, match="No spike"):
        characterise.spikes_of(made(Waveform.hold(0.1, 1.0), 1e-9))


@pytest.mark.parametrize(
    ("label", "A"),
    # label and A of NeuroSim's table
    [
        (0.01, 126.268958), (0.02, 63.134314), (0.05, 25.253264), (1.51, 0.819477), (3.01, 0.385310),
        (4.51, 0.226626), (6.01, 0.135117), (7.51, 0.070151),
    ],
)  # fmt: skip
def test_the_label_is_that_of_the_simulators(label, A):
    assert float(plasticity.neurosim_label(1.0 / A)) == pytest.approx(label, abs=1e-3)
    assert float(plasticity.neurosim_label(-1.0 / A)) == pytest.approx(-label, abs=1e-3)


def test_the_label_follows_from_a_measured_curve():
    x = np.linspace(0.0, 1.0, 50)
    up = 1e-9 * (1.0 + -np.expm1(-x / 0.385310) / -np.expm1(-1 / 0.385310))
    found = plasticity.update_of(up, up[::-1])
    assert found.nonlinearity_up == pytest.approx(1 / 0.385310, rel=1e-4)
    assert float(plasticity.neurosim_label(found.nonlinearity_up)) == pytest.approx(3.01, abs=1e-3)


# -- the report ---------------------------------------------------------------------------------------------------


def test_a_report_holds_what_a_loop_allows_and_says_what_it_does_not():
    given = [loops([0.805 + 0.01 * k, 0.855], [1.2, 1.3], area_m2=1e-9 * 10**k) for k in range(4)]
    found = characterise.report(given)
    assert found["set voltage"].value == pytest.approx(0.84, abs=0.02)
    assert found["set voltage"].number == 8
    assert found["on/off ratio (read)"].value == pytest.approx(1e4, rel=1e-6)
    assert found["LRS conductance"].unit == "S"
    assert found["area exponent"].note == "filamentary"
    assert found["rectification ratio, HRS"].value == pytest.approx(1.0)
    assert found["endurance"].censored == 4
    assert "no device failed" in found["endurance"].note
    assert {one.name for one in found.missing} >= {"relaxation time", "retention", "LTP/LTD nonlinearity", "decay law"}
    with pytest.raises(InputError, match="needs as many potentiating"):
        _ = found["LTP/LTD nonlinearity"]
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["merits"][0]["name"] == "set voltage"
    assert again["merits"][0]["low"] == pytest.approx(found["set voltage"].low)
    assert "relaxation time: not from these traces: needs positive pulses" in str(found)


def test_a_report_names_the_compliance_and_keeps_rates_apart():
    given = [loops([0.8 + 0.1 * k], [1.2], rate=10.0**k, limit=1e-6) for k in range(3)]
    found = characterise.report(given)
    assert "compliance in 3 runs" in found["on/off ratio (power)"].note
    assert "3 different stimuli pooled" in found["LRS conductance"].note
    assert found["set voltage at 10 V/s"].number == 1
    assert found["set voltage against sweep rate"].value == pytest.approx(0.1, abs=0.01)


def test_a_report_on_pulses_spikes_and_watches():
    rows = characterise.report([made(PULSE, exponential())] * 3)
    assert rows["SET switching time"].value == pytest.approx(TAU * np.log(9.0), rel=1e-3)
    assert rows["SET switching energy"].value == pytest.approx(1.5**2 * ON * TAU * (np.log(9.0) - 0.8), rel=1e-3)

    spikes = [made(w, 1e-9 * (1 + w.times_s)) for w in map(synapse.pair, (20e-3, 60e-3, 120e-3, 180e-3))]
    assert characterise.report(spikes)["PPF index at 0.06 s"].number == 1

    wave = synapse.update(20)
    noise = np.random.default_rng(2)
    trains = []
    for _ in range(6):
        weights = 1e-9 * np.exp(0.2 * np.concatenate([np.arange(20), np.arange(19, -1, -1)]))
        weights = weights * np.exp(0.01 * noise.standard_normal(40))
        trains.append(made(wave, np.interp(wave.times_s, wave.reads_s, weights)))
    found = characterise.report(trains)
    # spacing 0.2 in ln G, sigma 0.01: 3 (0.01 + 0.01) is far less
    assert found["distinguishable states"].value == 20
    assert found.states.programmed == 20
    assert found["LTP NeuroSim label"].number == 6

    kelvins = (330.0, 350.0, 370.0)
    held = [watch(T, 1e-12 * np.exp(0.95 / (BOLTZMANN_EV_K * T)), 3e5) for T in kelvins for _ in range(2)]
    table = characterise.report(held)
    assert table["activation energy of retention"].value == pytest.approx(0.95, abs=0.02)
    assert table["retention at 350 K"].number == 2
    assert table.retention is not None


def test_a_doubtful_extrapolation_is_a_note_not_a_warning():
    held = [watch(T, 100.0 + 0.001 * (T - 330.0) + k, 1e3) for T in (330.0, 350.0) for k in range(3)]
    with pytest.warns(RetentionWarning):
        characterise.retention(held)
    note = characterise.report(held)["activation energy of retention"].note
    assert "no extrapolation follows" in note


def test_a_report_complains_of_what_is_no_trace_and_of_bad_thresholds():
    good = loops([0.8], [1.2])
    bad = good.copy(deep=True)
    bad["conductance"].values[3] = np.nan
    for given, options, told in (
        (bad, {}, "not finite"),
        ([], {}, "needs a trace"),
        ([good, "loop.nc"], {}, r"traces\[1\] is not a trace"),
        (good, {"ratio": 1.0}, "ratio is out of range"),
        (good, {"retention_fraction": 1.0}, "retention_fraction is out of range"),
        (good, {"read_V": float("nan")}, "read_V is out of range"),
    ):
        with pytest.raises(InputError, match=told):
            characterise.report(given, **options)


def test_a_flat_trace_gives_reasons_only():
    found = characterise.report(made(Waveform.triangle([1.0, -1.0], 1.0), 1e-9))
    assert found["set voltage"].censored == 1
    assert np.isnan(found["set voltage"].value)
    assert {one.name for one in found.missing} >= {"reset voltage (magnitude)", "switching time and energy"}


# -- command and pictures -----------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, capsys):
    from halidrift.pipeline import cli

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["halidrift", "characterise", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return stop.value.code, told.out, told.err

    return call


def test_the_command_prints_writes_and_draws(run, tmp_path):
    files = [tmp_path / f"{k}.nc" for k in range(2)]
    for k, file in enumerate(files):
        traces.write(loops([0.805 + 0.05 * k, 0.9, 0.95], [1.2, 1.3, 1.4]), file)
    code, out, _ = run(*files, "--json", tmp_path / "merits.json", "--plot", tmp_path / "merits.png")
    assert code == 0
    assert "set voltage" in out
    assert "- no relaxation time: needs positive pulses" in out
    found = json.loads((tmp_path / "merits.json").read_text(encoding="utf-8"))
    assert found["merits"][0]["number"] == 6
    assert (tmp_path / "merits.png").stat().st_size > 10_000
    code, out, _ = run(*files, "--json", "-", "--ratio", "1e5")
    assert json.loads(out)["merits"][0]["censored"] == 6  # the window is 1e4


def test_the_command_complains_in_one_line(run, tmp_path):
    file = tmp_path / "loop.nc"
    traces.write(loops([0.8], [1.2]), file)
    for arguments, told in (
        ((tmp_path / "none.nc",), "not a readable trace"),
        ((file, "--ratio", "0.5"), "ratio is out of range"),
        ((file, "--read", "0.1A"), "--read has the wrong unit"),
        ((file, "--plot", tmp_path), "--plot names a folder"),
    ):
        code, _, error = run(*arguments)
        assert code == 2
        assert told in " ".join(error.split())


def test_a_plot_of_nothing_is_a_note(run, tmp_path):
    file, picture = tmp_path / "loop.nc", tmp_path / "one.png"
    traces.write(loops([0.8], [1.2]), file)
    code, out, err = run(file, "--plot", picture, "--json", tmp_path / "merits.json")
    assert (code, "set voltage" in out, "Nothing to draw" in err) == (0, True, True)
    assert (tmp_path / "merits.json").exists()
    assert not picture.exists()


@pytest.mark.parametrize("suffix", [".csv", ".nc"])
def test_a_table_is_told_from_a_trace(run, tmp_path, suffix):
    table = tmp_path / f"iv{suffix}"
    table.write_text("Voltage (V),Current (A)\n0.1,1e-9\n", encoding="utf-8")
    code, _, error = run(table)
    words = " ".join(error.split())
    assert code == 2
    assert "is a table, not a trace" in words
    assert f"halidrift fit {table} --traces clean.nc" in words
    assert "Error" not in words
    code, _, error = run(tmp_path)
    assert (code, "is a folder" in error) == (2, True)


def test_every_picture_is_drawn_from_what_the_report_keeps():
    from halidrift.pipeline.figures import characterise as figures

    rng = np.random.default_rng(4)
    given = [
        loops(
            list(rng.normal(0.9, 0.1, 3)) + [3.0] * (k % 3 == 2),
            [1.2] * (3 + (k % 3 == 2)),
            on=1e-4 * np.exp(0.2 * rng.standard_normal()),
            area_m2=1e-10 * 10 ** (k // 3),
        )
        for k in range(9)
    ]
    kelvins = (330.0, 350.0, 370.0)
    given += [watch(T, 1e-12 * np.exp(0.95 / (BOLTZMANN_EV_K * T)), 3e5) for T in kelvins for _ in range(2)]
    given += [made(synapse.update(), 1e-9 * (1 + synapse.update().times_s))]
    given += [
        made(w, np.interp(w.times_s, w.reads_s, 1e-9 * np.array([1.0, 1.0 + 0.5 * np.exp(-t / 0.1)])))
        for t in (20e-3, 60e-3, 180e-3)
        for w in [synapse.pair(t)]
    ]
    given += [made(w, 1e-9 * (1 + w.times_s)) for w in (synapse.amplitudes(), synapse.durations(), synapse.numbers())]
    wave = synapse.retention(5)
    last = wave.reads_s[-1]
    given.append(
        made(
            wave,
            np.where(
                wave.times_s <= 10e-3, 1e-9, 1e-9 + 1e-9 * (1 + np.maximum(wave.times_s - last, 0) / 0.01) ** -0.4
            ),
        )
    )
    found = characterise.report(given)
    drawn = figures.overview(found)
    titles = [ax.get_title(loc="left") for ax in drawn.axes if ax.get_visible()]
    wanted = (
        "Voltage",
        "On/off",
        "Endurance",
        "Retention",
        "Paired",
        "SVDP",
        "SDDP",
        "SNDP",
        "Potentiation",
        "Area",
    )
    for word in (*wanted, "Forgetting"):
        assert any(title.startswith(word) for title in titles), word
    levels = figures.overview(characterise.report([loops([0.8], [1.2], limit=k) for k in (1e-6, 1e-6, 1e-5, 1e-5)]))
    ticks = [t.get_text() for ax in levels.axes if ax.get_xlabel() == "programmed by" for t in ax.get_xticklabels()]
    assert ticks == ["1 µA", "10 µA"]
    voltage = next(ax for ax in drawn.axes if ax.get_title(loc="left") == "Voltage")
    assert "3 never" in " ".join(text.get_text() for text in voltage.get_legend().get_texts())
    assert voltage.get_xlabel() == "voltage (V)"
    # the straight line is the normal law: half lie below its mean
    [line, *_] = [one for one in voltage.get_lines() if len(one.get_xdata()) == 100]
    mean = found.distributions["set voltage"].normal.mean
    assert np.interp(mean, line.get_xdata(), line.get_ydata()) == pytest.approx(0.0, abs=1e-6)
    assert figures.retention(found.retention, found.lifetimes).axes
    assert figures.endurance(found.endurances).axes
    assert figures.update(found.updates).axes
    with pytest.raises(InputError, match="No distribution to draw"):
        figures.probability([characterise.distribution([1.0], [True])])
