import numpy as np
import pytest

from halidrift import Waveform
from halidrift.physics.errors import InputError, ValidityError


def test_triangle_visits_each_peak_and_returns_to_zero():
    sweep = Waveform.triangle(peaks_V=[5.0, -7.0], rate_V_s=2.0, compliance_A=[1e-3, np.inf])
    assert sweep.duration_s == pytest.approx(12.0)
    np.testing.assert_allclose(sweep.voltage_at([0.0, 2.5, 5.0, 8.5, 12.0]), [0, 5, 0, -7, 0], atol=1e-12)
    np.testing.assert_array_equal(sweep.compliance_at([1.0, 4.9, 6.0, 11.0]), [1e-3, 1e-3, np.inf, np.inf])


def test_pulses_put_each_read_behind_its_write():
    pulses = Waveform.pulses(1.0, 20e-3, 40e-3, 3, read_V=-0.5, read_width_s=5e-3, compliance_A=1e-6)
    assert pulses.duration_s == pytest.approx(0.12)
    assert len(pulses.reads_s) == 3
    np.testing.assert_allclose(pulses.voltage_at(pulses.reads_s), -0.5)
    np.testing.assert_allclose(pulses.voltage_at([10e-3, 35e-3, 50e-3]), [1.0, 0.0, 1.0], atol=1e-12)


def test_spikes_merge_where_they_overlap_and_are_cut_at_the_end():
    train = Waveform.spikes([0.01, 0.02, 0.095], amplitude_V=1.0, width_s=20e-3, duration_s=0.1)
    np.testing.assert_allclose(train.voltage_at([0.005, 0.025, 0.039, 0.05, 0.098]), [0, 1, 1, 0, 1])
    assert train.voltage_V[-1] == 0.0


def test_addition_shifts_the_clock_and_keeps_both_compliances():
    both = Waveform.triangle([1.0], 1.0, 1e-6) + Waveform.hold(0.1, 5.0, compliance_A=1e-3, samples=11)
    assert both.duration_s == pytest.approx(7.0)
    assert both.voltage_at(4.0) == pytest.approx(0.1)
    np.testing.assert_array_equal(both.compliance_at([0.5, 6.0]), [1e-6, 1e-3])
    assert both.times_s[-1] == both.time_s[-1]


def test_addition_is_associative_in_what_it_plays():
    a, b, c = Waveform.triangle([1.0], 1.0), Waveform.pulses(1.0, 0.1, 0.2, 2), Waveform.hold(0.0, 1.0)
    grid = np.linspace(0, 3.4, 500)
    np.testing.assert_allclose(((a + b) + c).voltage_at(grid), (a + (b + c)).voltage_at(grid), atol=1e-9)


def test_round_trip_through_plain_data():
    sweep = Waveform.triangle([5.0, -7.0], 1.0, [1e-3, np.inf])
    assert Waveform.from_dict(sweep.to_dict()) == sweep


def test_waveforms_cannot_be_changed():
    sweep = Waveform.triangle([1.0], 1.0)
    with pytest.raises(ValueError, match="read-only"):
        sweep.voltage_V[0] = 3.0
    with pytest.raises(AttributeError):
        sweep.time_s = np.array([0.0, 1.0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Waveform([0.0, 1.0, 1.0], [0.0, 1.0, 0.0]), ["time_s[2]", "1.0 s, then 1.0 s", "Sort"]),
        (lambda: Waveform([0.0, 2.0, 1.0], [0.0, 1.0, 0.0]), ["time_s[2]", "2.0 s, then 1.0 s"]),
        (lambda: Waveform([0.0, np.nan], [0.0, 1.0]), ["finite"]),
        (lambda: Waveform([0.0, 1.0], [0.0]), ["2 times and 1 voltages"]),
        (lambda: Waveform([0.0, 1.0], [0.0, 1.0], compliance_A=-1e-6), ["-1e-06 A", "> 0 A"]),
        (lambda: Waveform([0.0, 1.0], [0.0, 1.0], compliance_A=np.nan), ["Compliance"]),
        (lambda: Waveform([0.0, 1.0], [0.0, 1.0], samples_s=[2.0]), ["samples_s", "2.0 s", "0 to 1 s"]),
        (lambda: Waveform.triangle([0.0], 1.0), ["peaks_V"]),
        (lambda: Waveform.triangle([1.0], 0.0), ["rate_V_s", "> 0 V/s"]),
        (lambda: Waveform.triangle([1.0, -1.0], 1.0, [1e-3]), ["1 for 2 peaks"]),
        (lambda: Waveform.pulses(1.0, 30e-3, 20e-3, 1), ["do not fit", "period_s"]),
        (lambda: Waveform.pulses(1.0, 1e-3, 20e-3, 1, read_V=0.1), ["read_width_s"]),
        (lambda: Waveform.pulses(1.0, 1e-3, 20e-3, 0), ["count"]),
        (lambda: Waveform.pulses(1.0, 1e-3, 20e-3, np.inf), ["count"]),
        (lambda: Waveform.pulses(1.0, 1e-3, 20e-3, 1, samples_per_period=-5), ["samples_per_period"]),
        (lambda: Waveform.hold(1.0, 1.0, samples=0, first_s=0.1), ["samples"]),
        (lambda: Waveform.triangle([1e12], 1.0), ["too many points"]),
        (lambda: Waveform.spikes([2.0], amplitude_V=1.0, width_s=0.1, duration_s=1.0), ["onsets", "t < 1 s"]),
    ],
)
def test_bad_input_says_what_was_found_and_what_is_allowed(make, words):
    with pytest.raises(InputError) as error:
        make()
    for word in words:
        assert word in str(error.value)


def test_asking_outside_the_waveform_raises():
    with pytest.raises(ValidityError, match="0 to 2 s"):
        Waveform.triangle([1.0], 1.0).voltage_at(2.5)
