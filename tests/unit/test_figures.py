import numpy as np
import pytest
import xarray as xr

from halidrift import Waveform
from halidrift.physics import synapse
from halidrift.physics import trace as traces
from halidrift.pipeline.figures import COLOURS, description, john2022, narrow, png
from halidrift.pipeline.figures.trace import overview

CLASSES = ["Bursting", "Adapting", "Tonic", "Irregular"]


def made(wave, conductance, extra=None):
    voltage = wave.voltage_at(wave.times_s)
    held = np.array(
        [
            np.clip(v, -c / g, c / g)
            for v, g, c in zip(voltage, conductance, wave.compliance_at(wave.times_s), strict=True)
        ]
    )
    return traces.make(
        wave,
        model="test",
        device_voltage_V=held,
        current_A=held * conductance,
        conductance_S=conductance,
        parameters={},
        extra=extra,
    )


def replicas(run, number):
    stacked = xr.concat([run] * number, "replica", data_vars="all", coords="minimal", compat="override", join="exact")
    stacked["voltage"] = run["voltage"]  # one stimulus for all, as in an ensemble
    return stacked


SWEEP = Waveform.triangle([2.0], 1.0, 1e-6, samples_per_V=10)
LOOP = Waveform.triangle([5.0, -7.0], 1.0, [1e-3, np.inf], samples_per_V=5)
TRAIN = Waveform.pulses(1.0, 20e-3, 120e-3, 3, compliance_A=1e-6)
HOT = {"temperature": ("time", np.linspace(300, 500, LOOP.times_s.size), "K", "temperature")}
HOTTEST = {"temperature_max": ("time", np.linspace(300, 500, LOOP.times_s.size), "K", "temperature")}


def filament():
    occupation = np.zeros((5, 5, 7), np.int8)
    occupation[2, 2, :5] = 2
    run = made(SWEEP, np.full(SWEEP.times_s.size, 1e-6), {"occupation": (("x", "y", "z"), occupation, "1", "sites")})
    axis = {"units": "m"}
    return run.assign_coords(
        x=("x", np.linspace(-1e-9, 1e-9, 5), axis),
        y=("y", np.linspace(-1e-9, 1e-9, 5), axis),
        z=("z", np.linspace(0.3e-9, 4e-9, 7), axis),
    )


def continuum():
    run = made(SWEEP, np.full(SWEEP.times_s.size, 1e-6), {"metal_fraction": (("z", "r"), np.eye(7, 3), "1", "Ag")})
    return run.assign_coords(z=("z", np.linspace(0.3e-9, 4e-9, 7)), r=("r", np.linspace(0.2e-9, 1e-9, 3)))


def drawn():
    switched = np.where(SWEEP.times_s > 0.7, 1e-5, 1e-8)
    looped = np.where((LOOP.times_s > 0.7) & (LOOP.times_s < 12), 2e-3, 1e-8)
    pulsed = np.where(TRAIN.voltage_at(TRAIN.times_s) > 0, 2e-6, 1e-8)
    pattern = Waveform.spikes([0.0, 0.1, 0.5], amplitude_V=1.0, width_s=20e-3, duration_s=1.05, compliance_A=1e-6)
    pattern = pattern.with_samples(np.linspace(0, 1.05, 300))
    response = made(pattern, np.where(pattern.voltage_at(pattern.times_s) > 0, 2e-6, 1e-8))
    currents = np.repeat([1e-5, 1e-4, 1e-3], 3)
    history = {"train_accuracy": [0.7, 0.8, 0.9], "test_accuracy": [0.6, 0.8, 0.85]}
    share = np.full((4, 4), 0.05) + 0.8 * np.eye(4)
    return {
        "volatile": john2022.volatile_iv(
            replicas(made(SWEEP, switched), 3), made(SWEEP, switched), made(SWEEP, switched)
        ),
        "nonvolatile": john2022.nonvolatile_iv(replicas(made(LOOP, looped, HOT), 2), made(LOOP, looped, HOTTEST)),
        "no continuum": john2022.nonvolatile_iv(
            replicas(made(LOOP, looped, HOT), 2), None, {"fem": "The filament melts. " * 6}
        ),
        "snapshots": john2022.snapshots(filament(), filament(), continuum()),
        "lost snapshots": john2022.snapshots(filament(), None, None),
        "relaxation": john2022.relaxation(replicas(made(TRAIN, pulsed), 4), made(TRAIN, pulsed)),
        "icc": john2022.icc(
            (currents, 2.0 * currents),
            (currents[:3], 2.1 * currents[:3]),
            slope_1_V=2.0,
            intercept_S=1e-6,
            spread_S=1e-6,
            spread_slope_1_V=0.1,
            slope_error_1_V=0.05,
        ),
        "patterns": john2022.patterns(dict.fromkeys(CLASSES, response), 35e-3 * np.arange(1, 31)),
        "confusions": john2022.confusions(dict.fromkeys(("one", "other"), (share, 0.9 * share, 1.1 * share)), CLASSES),
        "conventions": john2022.conventions(
            {
                str(i): {"rule": rule, "words": "what is assumed " * i, "accuracy": 95.0 - 3 * i, "error": 1.0}
                for i, rule in enumerate(("delta", "delta", "icc", "trees"))
            }
            | {"lost": {"rule": "icc", "words": "too few", "failed": "not two units"}},
            {"delta": (91.8, "91.8 %")},
        ),
        "training": john2022.training({"one": [history] * 2, "other": [history]}, {"one": (85.14, "paper")}),
        "set times": john2022.set_times({0.8: [1e-2, 2e-2], 1.0: [1e-3]}, {0.8: 1.5e-2, 1.0: 1e-3}),
    }


@pytest.fixture(scope="module")
def wide():
    return drawn()


@pytest.fixture(scope="module")
def small():
    with narrow():
        return drawn()


@pytest.fixture(params=["wide", "small"])
def all_figures(request):
    return request.getfixturevalue(request.param)


def test_every_figure_is_a_png_and_the_same_twice(wide):
    again = drawn()
    for name, figure in wide.items():
        data = png(figure)
        assert data[:8] == b"\x89PNG\r\n\x1a\n", name
        assert data == png(again[name]), name


def test_no_text_is_clipped(all_figures):
    for name, figure in all_figures.items():
        png(figure)  # lays it out
        renderer, page = figure.canvas.get_renderer(), figure.bbox
        for part in (*figure.axes, *figure.legends):
            box = part.get_tightbbox(renderer)
            assert box.x0 >= page.x0 - 1, name
            assert box.x1 <= page.x1 + 1, name
            assert box.y0 >= page.y0 - 1, name
            assert box.y1 <= page.y1 + 1, name
        for ax in figure.axes:  # what stands inside a panel stays there
            frame = ax.get_window_extent(renderer)
            for text in ax.texts:
                box = text.get_window_extent(renderer)
                assert box.x0 >= frame.x0 - 1, (name, text.get_text())
                assert box.x1 <= frame.x1 + 1, (name, text.get_text())


def test_a_narrow_figure_stacks_its_panels(wide, small):
    """And says the same, on a width on which 9 pt are legible on a telephone."""
    for name, figure in small.items():
        assert figure.get_size_inches()[0] <= 4.2
        assert description(figure) == description(wide[name])
        assert len(figure.axes) == len(wide[name].axes)
        assert {ax.get_subplotspec().get_gridspec().ncols for ax in figure.axes if ax.get_subplotspec()} == {1}
    assert wide["icc"].axes[0].get_subplotspec().get_gridspec().ncols == 2


def test_every_figure_says_what_it_shows_with_its_numbers(wide):
    said = {name: description(figure) for name, figure in wide.items()}
    assert all(len(text) > 40 and any(c.isdigit() for c in text) for text in said.values())
    assert "3 of 3 switch on at 0.7 V" in said["volatile"]
    assert "8 of 8" not in said["volatile"]
    assert "The filament melts" in said["no continuum"]
    assert "The continuum failed" in said["lost snapshots"]
    assert "5 atoms, in 71 % of the layers" in said["snapshots"]
    assert "KMC from 20 µS at 10 µA to 2 mS at 1 mA" in said["icc"]
    assert "Bursting 85.0 %" in said["confusions"]
    assert "0.8 V 15 ms" in said["set times"]
    assert "60.0 % on the test set after the first epoch, 85.0 % after the last of 3" in said["training"]


def test_axes_of_quantities_carry_units(all_figures):
    for name, figure in all_figures.items():
        if name == "confusions":
            continue
        for ax in figure.axes:
            for label in (ax.get_xlabel(), ax.get_ylabel()):
                counted = label in ("", "epoch", "Ag atoms along y", "fraction of sites with Ag")
                assert counted or label.endswith(")"), (name, label)


def test_colours_are_those_of_okabe_and_ito():
    assert {COLOURS[c] for c in ("orange", "sky", "green", "yellow", "blue", "vermillion", "purple")} == {
        "#E69F00",
        "#56B4E9",
        "#009E73",
        "#F0E442",
        "#0072B2",
        "#D55E00",
        "#CC79A7",
    }


def test_pyplot_is_not_touched():
    import sys

    drawn()
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_a_long_lead_does_not_squeeze_the_picture():
    """1000 s of rest before the spikes: the axes begin just before them, the weight has a panel of its own."""
    wave = synapse.retention(3, lead_s=1000.0, watch_s=10.0)
    time = wave.times_s
    since = np.clip(time - float(wave.reads_s[-1]), 0.0, None)
    conductance = np.where(time <= 1000.0, 1e-9, 1e-9 * (1.0 + 1.0 / (1.0 + since)))
    trace = traces.make(
        wave,
        model="test",
        device_voltage_V=wave.voltage_at(time),
        current_A=conductance * wave.voltage_at(time),
        conductance_S=conductance,
        parameters={"device": {"name": "film"}},
    )
    figure = overview(trace)
    panels = {ax.get_title(loc="left") or ax.get_title(): ax for ax in figure.axes}
    assert panels["Conductance"].lines[0].get_xdata()[0] == pytest.approx(1000.0, abs=1.0)
    assert "Forgetting" in panels
    assert panels["Forgetting"].lines[0].get_ydata()[-1] == pytest.approx(1.0 / 11.0, rel=0.01)
    assert figure.get_suptitle().startswith("film, test")
    assert "left out" in figure.get_suptitle()
