"""Snapshots of a filament, and the pictures drawn from them."""

import doctest
import importlib
import re
import sys
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import EllipseCollection, QuadMesh
from PIL import Image
from scipy import ndimage

from halidrift import Device, Waveform, trace
from halidrift.kmc import FilamentKMC, ensemble
from halidrift.kmc.snapshots import instants
from halidrift.physics.errors import InputError, OutputError
from halidrift.physics.randomness import recall
from halidrift.pipeline import cli
from halidrift.pipeline.figures import filament, save

CELL = FilamentKMC(Device.load("john2022-ogb"))
PULSE = Waveform.pulses(1.0, 4e-3, 12e-3, compliance_A=1e-6, samples_per_period=48)
RADIUS_NM = 0.54 * 0.587


@pytest.fixture(scope="module")
def run():
    return CELL.simulate(PULSE, rng=1, snapshots=8)


@pytest.fixture(scope="module")
def explicit():
    """Every reported instant, with ions that take their time."""
    card = Device.load("john2022-ogb").with_parameters(hop_barrier_eV=0.45, charge_transfer_barrier_eV=0.2)
    slow = FilamentKMC(card, transport="explicit")
    return slow.simulate(Waveform.hold(1.6, 2e-5, compliance_A=1e-6, samples=20), rng=3, snapshots=20)


def only(run, *atoms, ions=()):
    """The trace with these sites filled, in every snapshot, and all else empty."""
    made = run.copy(deep=True)
    made.snapshot_occupation[:] = 0
    for kind, sites in ((2, atoms), (1, ions)):
        for x, y, z in sites:
            made.snapshot_occupation[:, x, y, z] = kind
    return made


def discs(ax):
    """Places, widths and colours of what is drawn for the atoms of a panel: (atom, disc, ...)."""
    (balls,) = [c for c in ax.collections if isinstance(c, EllipseCollection)]
    shape = (-1, filament.DISCS)
    return (
        np.reshape(balls.get_offsets(), (*shape, 2)),
        np.reshape(balls.get_widths(), shape),
        np.reshape(balls.get_facecolors(), (*shape, 4)),
    )


def stages(figure):
    return [ax for ax in figure.axes if any(isinstance(c, EllipseCollection) for c in ax.collections)]


def words(ax):
    return [text.get_text() for text in ax.texts]


# -- snapshots in the trace --------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["fast", "explicit"])
def test_snapshots_change_no_bit_of_the_rest(transport):
    cell = FilamentKMC(Device.load("john2022-ogb"), transport=transport)
    plain, with_them = cell.simulate(PULSE, rng=5), cell.simulate(PULSE, rng=5, snapshots=7)
    added = ["snapshot_occupation", "snapshot_potential", "snapshot_time"]
    assert plain.metal_atoms.max() > 20
    xr.testing.assert_identical(plain, with_them.drop_vars(added))


def test_a_snapshot_is_what_the_trace_counts(run, explicit):
    for made in (run, explicit):
        at = made.sel(time=made.snapshot_time)
        cells = ["x", "y", "z"]
        np.testing.assert_array_equal((made.snapshot_occupation == 2).sum(cells), at.metal_atoms)
        if made is explicit:  # in fast transport: the mean number in flight
            np.testing.assert_array_equal((made.snapshot_occupation == 1).sum(cells), at.ions)
        np.testing.assert_array_equal(made.snapshot_occupation[-1], made.occupation)
        assert made.snapshot_occupation.dtype == np.int8
        assert made.snapshot_occupation.dims == ("snapshot", "x", "y", "z")
        assert made.snapshot_time.attrs["units"] == "s"
    assert explicit.ions.max() > 0
    assert len(np.unique(run.metal_atoms.sel(time=run.snapshot_time))) > 4  # not the same picture again


def test_potentials_are_those_of_the_metal(run):
    hard = CELL.simulate(Waveform.hold(1.5, 2e-3, compliance_A=2e-5, samples=9), rng=1, snapshots=9)
    for made in (run, hard):
        metal, u = made.snapshot_occupation.values == 2, made.snapshot_potential.values
        np.testing.assert_array_equal(np.isfinite(u), metal)
        # the network solve stops at 1e-7 of the conductance in the energy norm: 3e-4 of a potential
        assert np.nanmin(u) >= -1e-3
        assert np.nanmax(u) <= 1 + 1e-3
    # a stub more than eight sites away from the active electrode, beyond every tunnel, is at the counter electrode's
    metal, u = run.snapshot_occupation.values == 2, run.snapshot_potential.values
    short = ~metal[..., -9:].any(axis=(1, 2, 3)) & metal.any(axis=(1, 2, 3))
    assert short.any()
    height = metal.shape[-1]
    for number in np.flatnonzero(short):
        pieces, count = ndimage.label(metal[number])
        for piece in range(1, count + 1):
            there = pieces == piece
            z, potential = np.nonzero(there)[2], u[number][there]
            if z.min() == 0:
                assert np.abs(potential).max() < 1e-3
            else:  # what has come loose is tied by tunnels to the stub, or floats with the film around it
                assert potential.min() > -1e-3
                assert potential.max() < (z.max() + 1) / height
    # where metal reaches from one electrode to the other, each end is nearer to its own
    metal, u = hard.snapshot_occupation.values == 2, hard.snapshot_potential.values
    joined = np.flatnonzero(metal.any(axis=(1, 2)).all(axis=1))
    assert joined.size
    for number in joined:
        assert np.nanmax(u[number, :, :, 0]) < np.nanmax(u[number, :, :, -1])


def test_a_number_of_snapshots_is_spread_and_times_are_rounded():
    times = np.array([0.0, 1e-3, 2e-3, 5e-3, 9e-3])
    assert instants(None, times).tolist() == []
    assert instants(5, times).tolist() == [0, 1, 2, 3, 4]
    assert instants(2, times).tolist() == [0, 4]
    assert instants(1, times).tolist() == [4]
    assert instants([0.0, 9e-3], times).tolist() == [0, 4]
    assert instants([1.5e-3], times).tolist() == [1]  # half way: the earlier one
    assert instants([1.6e-3, 7.1e-3, 2.1e-3], times).tolist() == [2, 4]  # in order, each once
    assert instants(np.array([5e-3]), times).tolist() == [3]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (0, "whole number"),
        (-3, "whole number"),
        (2.0, r"\[0.02\]"),
        (True, "whole number"),
        ("many", "whole number"),
        ([], "no times"),
        ([np.nan], "no times"),
        (["soon"], "no times"),
        ([[0.0]], "no times"),
        ([13e-3], "outside the waveform"),
        ([-1e-9, 1e-3], "outside the waveform"),
        (10_000, "More snapshots than reported instants"),
    ],
)
def test_bad_snapshots_make_no_trace(wrong, says):
    with pytest.raises(InputError, match=says):
        CELL.simulate(PULSE, rng=1, snapshots=wrong)


def test_the_argument_goes_before_the_field():
    cell = FilamentKMC(CELL.device, snapshots=[4e-3, 12e-3])
    rest = Waveform.hold(0.0, 12e-3, samples=13)
    np.testing.assert_allclose(cell.simulate(rest, rng=1).snapshot_time, [4e-3, 12e-3])
    assert cell.simulate(rest, rng=1, snapshots=3).sizes["snapshot"] == 3
    with pytest.raises(InputError, match="whole number"):
        FilamentKMC(CELL.device, snapshots=0)


def test_an_ensemble_keeps_snapshots_of_every_replica(tmp_path):
    pytest.importorskip("zarr")
    cell = FilamentKMC(CELL.device, snapshots=4)
    many = ensemble.run(cell, PULSE, 2, rng=9, processes=1, store=tmp_path / "runs.zarr")
    xr.testing.assert_identical(many, ensemble.read(tmp_path / "runs.zarr"))
    assert many.snapshot_occupation.dims == ("replica", "snapshot", "x", "y", "z")
    second = CELL.simulate(PULSE, rng=recall(many.attrs["seed"]).spawn(2)[1], snapshots=4)
    for name in ("snapshot_occupation", "snapshot_potential", "conductance"):
        np.testing.assert_array_equal(many[name][1], second[name])
    np.testing.assert_array_equal(many.snapshot_time, second.snapshot_time)


def test_they_survive_a_file(run, tmp_path):
    xr.testing.assert_equal(trace.read(trace.write(run, tmp_path / "run.nc")), run)


# -- the row of filaments ----------------------------------------------------------------------------------------


def test_a_filament_for_each_instant_beside_four_graphs(run):
    figure = filament.snapshots(run)
    assert len(stages(figure)) == 6
    labels = [ax.get_ylabel() for ax in figure.axes if ax.axison]
    for name in ("voltage (V)", "temperature (K)", "|current| (A)", "conductance (S)"):
        assert labels.count(name) == 1
    assert [ax.get_xlabel() for ax in figure.axes].count("time (ms)") == 2
    assert "1 µA" in figure.get_suptitle()


def test_every_atom_is_drawn_and_counted(run):
    at = run.snapshot_time.values[[1, 3, 7]]
    figure = filament.snapshots(run, at=at)
    panels = stages(figure)
    atoms = run.metal_atoms.sel(time=at).values
    assert len(panels) == 3
    for ax, number, letter, time in zip(panels, atoms, "abc", at, strict=True):
        assert len(discs(ax)[0]) == number
        assert f"{int(number)} Ag" in words(ax)
        assert any(word.startswith(f"{letter}  ") and word.endswith("s") for word in words(ax)), time


def test_ions_in_flight_are_drawn_too(explicit):
    busy = int(np.argmax(explicit.ions.values))
    figure = filament.snapshots(explicit, at=[explicit.snapshot_time.values[busy]])
    (ax,) = stages(figure)
    metal, ions = int(explicit.metal_atoms[busy]), int(explicit.ions[busy])
    assert len(discs(ax)[0]) == metal + ions
    assert f"{metal} Ag + {ions} ion{'s' if ions > 1 else ''}" in words(ax)
    assert "ion in flight" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert "ion in flight" not in [
        text.get_text() for text in filament.snapshots(explicit, at=[0.0]).legends[0].get_texts()
    ]


def test_an_atom_stands_where_it_is(run):
    # on the axis of the column nothing is turned: x = 0, height foreshortened by the cosine of 9 degrees
    nx, _, nz = run.occupation.shape
    made = only(run, (nx // 2, nx // 2, 0), (nx // 2, nx // 2, nz - 1))
    places, widths, _ = discs(stages(filament.snapshots(made, at=[0.0]))[0])
    heights = np.cos(np.radians(9.0)) * 0.587 * (np.array([0, nz - 1]) + 0.5)
    order = np.argsort(places[:, 0, 1])
    np.testing.assert_allclose(places[order, 0], np.c_[np.zeros(2), heights], atol=1e-9)
    np.testing.assert_allclose(widths[:, 0], 2 * RADIUS_NM, rtol=1e-9)
    # shine and body lie inside the rim
    reach = np.linalg.norm(places - places[:, :1], axis=-1) + widths / 2
    assert (reach <= RADIUS_NM * 1.001).all()


def test_the_nearer_atom_hides_the_one_behind(run):
    nx = run.occupation.shape[0]
    for far, near in (((8, nx - 1, 5), (8, 0, 5)), ((0, 8, 5), (nx - 1, 8, 5)), ((8, 8, 5), (8, 8, 6))):
        for atoms in ((far, near), (near, far)):
            places, _, _ = discs(stages(filament.snapshots(only(run, *atoms), at=[0.0]))[0])
            alone, _, _ = discs(stages(filament.snapshots(only(run, near), at=[0.0]))[0])
            np.testing.assert_allclose(places[-1], alone[0], atol=1e-9)  # painted last


def test_colours_follow_what_is_asked(run):
    low, high = (8, 8, 2), (8, 8, 30)
    made = only(run, low, high)
    made.snapshot_potential[:, 8, 8, 2], made.snapshot_potential[:, 8, 8, 30] = 0.9, 0.1

    def brightness(colour):
        places, _, tones = discs(stages(filament.snapshots(made, at=[0.0], colour=colour))[0])
        return tones[np.argsort(places[:, 0, 1]), 1, :3].sum(axis=1)

    potential, height = brightness("potential"), brightness("height")
    assert potential[0] > potential[1]
    assert height[0] < height[1]
    tone = discs(stages(filament.snapshots(only(run, ions=[low]), at=[0.0]))[0])[2][0, 1]
    assert tone[0] > 0.8 > 0.6 > tone[2]  # vermillion, whatever the map
    with pytest.raises(InputError, match=r"potential.*height.*depth"):
        filament.snapshots(run, colour="age")


def test_an_empty_film_is_drawn_empty(run):
    figure = filament.snapshots(only(run), at=[0.0])
    (ax,) = stages(figure)
    assert len(discs(ax)[0]) == 0
    assert "0 Ag" in words(ax)


def test_instants_are_chosen_where_something_happens():
    rest = Waveform.hold(0.1, 19e-3, samples=20)
    made = CELL.simulate(rest, rng=1, snapshots=20)
    made.snapshot_occupation[:] = 0
    made.snapshot_occupation[:, 8, 8, 0] = 2
    # nothing but time passes up to 9 ms and from 12 ms on, four decades of conductance in between
    made.conductance[:] = 10.0 ** (-8.0 + 4.0 * np.clip((made.time - 9e-3) / 3e-3, 0.0, 1.0))
    drawn = [words(ax)[-1] for ax in stages(filament.snapshots(made))]
    assert [word.split("  ")[1] for word in drawn] == ["0 s", "9 ms", "10 ms", "11 ms", "12 ms", "19 ms"]
    made.conductance[:] = 1e-8  # now every instant is as good as any other
    assert len(stages(filament.snapshots(made))) == 6


def test_the_same_trace_gives_the_same_file(run, tmp_path):
    files = [save(filament.snapshots(run), tmp_path / f"{i}.png").read_bytes() for i in range(2)]
    assert files[0] == files[1]


def test_a_wide_range_of_times_gets_a_logarithmic_axis(run):
    relaxed = CELL.simulate(Waveform.hold(0.0, 1e3, samples=40, first_s=1e-4), rng=1, snapshots=6)
    for made, unit, scale in ((relaxed, "s", "log"), (run, "ms", "linear")):
        for figure in (filament.snapshots(made), filament.layers(made)):
            assert {ax.get_xscale() for ax in figure.axes if ax.get_xlabel() == f"time ({unit})"} == {scale}


def figures(run):
    return {
        "row": filament.snapshots(run),
        "one": filament.snapshots(run, at=[12e-3]),
        "depth": filament.snapshots(run, colour="depth"),
        "layers": filament.layers(run),
    }


def test_nothing_is_clipped_and_axes_have_units(run):
    for name, figure in figures(run).items():
        figure.canvas.draw()
        renderer, page = figure.canvas.get_renderer(), figure.bbox
        for ax in figure.axes:
            for text in (*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label):
                if not text.get_text() or not text.get_visible() or not (ax.axison or text in ax.texts):
                    continue
                box = text.get_window_extent(renderer)
                assert page.x0 - 1 <= box.x0 <= box.x1 <= page.x1 + 1, (name, text.get_text())
                assert page.y0 - 1 <= box.y0 <= box.y1 <= page.y1 + 1, (name, text.get_text())
            for label in (ax.get_xlabel(), ax.get_ylabel()):
                assert label == "" or re.search(r"\(.+\)$", label), (name, label)
        for ax in stages(figure):
            limits = np.array([ax.get_xlim(), ax.get_ylim()])
            places, widths, _ = discs(ax)
            assert (places - widths[..., None] / 2 >= limits[:, 0]).all()
            assert (places + widths[..., None] / 2 <= limits[:, 1]).all()


def test_letters_keep_apart_and_inside():
    figure = filament.snapshots(
        CELL.simulate(PULSE, rng=1, snapshots=[11.0e-3, 11.25e-3, 11.5e-3, 11.75e-3, 12e-3, 0.0])
    )
    (voltage,) = [ax for ax in figure.axes if ax.get_ylabel() == "voltage (V)"]
    places = [text.get_position()[0] for text in voltage.texts]
    assert len(places) == 6
    assert (np.diff(places) > 0.04).all()
    assert places[-1] <= 1.0
    # each is led to its own line
    low, high = voltage.get_xlim()
    lines = np.array([0.0, 11.0, 11.25, 11.5, 11.75, 12.0])
    assert [note.xy[0] for note in voltage.texts] == pytest.approx(((lines - low) / (high - low)).tolist())
    assert all(note.arrow_patch is not None for note in voltage.texts)
    far = filament.snapshots(CELL.simulate(PULSE, rng=1, snapshots=[0.0, 3e-3, 6e-3]))
    (voltage,) = [ax for ax in far.axes if ax.get_ylabel() == "voltage (V)"]
    assert [note.arrow_patch for note in voltage.texts] == [None] * 3


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ([], "no times"),
        (["soon"], "no times"),
        ([np.nan], "no times"),
        ([1.0], "outside the trace"),
        ([-1.0], "outside the trace"),
        (np.linspace(0, 12e-3, 8), "at most 6"),
    ],
)
def test_bad_instants(run, at, says):
    for draw in (filament.snapshots, filament.layers):
        with pytest.raises(InputError, match=says):
            draw(run, at=at)


def test_what_is_no_filament_is_refused(run, tmp_path):
    hold = Waveform.hold(0.1, 1e-3, samples=3)
    other = trace.make(
        hold, model="Volatile", device_voltage_V=[0.1] * 3, current_A=[0.0] * 3, conductance_S=[0.0] * 3, parameters={}
    )
    cases = {
        "holds no filament": other,
        "--snapshots": CELL.simulate(hold, rng=1),
        "several filaments": xr.concat([run, run], "replica", data_vars="all"),
        "needs a trace": None,
    }
    for says, wrong in cases.items():
        for draw in (filament.snapshots, filament.layers, lambda t: filament.animation(t, tmp_path / "x.gif")):
            with pytest.raises(InputError, match=says):
                draw(wrong)
    assert list(tmp_path.iterdir()) == []


# -- layers ------------------------------------------------------------------------------------------------------


def test_layers_show_the_counts_of_each_layer(run):
    at = run.snapshot_time.values[[2, 5, 7]]
    figure = filament.layers(run, at=at)
    counts = (run.snapshot_occupation.values == 2).sum(axis=(1, 2))
    profiles = [patch for ax in figure.axes for patch in ax.patches if patch.get_gid() == "layers"]
    for patch, number in zip(profiles, (2, 5, 7), strict=True):
        values, edges, _ = patch.get_data()
        np.testing.assert_array_equal(values, counts[number])
        np.testing.assert_allclose(edges, 0.587 * np.arange(len(values) + 1))
    (picture,) = [c for ax in figure.axes for c in ax.collections if isinstance(c, QuadMesh) and c.axes.get_xlabel()]
    shown = picture.get_array()
    np.testing.assert_array_equal(shown.filled(0).reshape(counts.T.shape), counts.T)
    np.testing.assert_array_equal(shown.mask.reshape(counts.T.shape), counts.T == 0)


def test_one_snapshot_is_no_map_over_time():
    with pytest.raises(InputError, match="several snapshots"):
        filament.layers(CELL.simulate(Waveform.hold(0.1, 1e-3, samples=3), rng=1, snapshots=1))


# -- animation ---------------------------------------------------------------------------------------------------


def test_a_gif_has_a_frame_for_each_snapshot(run, tmp_path):
    # two of them alike: a GIF must not drop the second
    made = run.copy(deep=True)
    made.snapshot_occupation[3] = made.snapshot_occupation[2]
    file = filament.animation(made, tmp_path / "run.gif", frames_per_s=4.0, dpi=60.0)
    with Image.open(file) as picture:
        assert picture.n_frames == 8
        assert picture.info["duration"] == 250
        frames = []
        for number in range(picture.n_frames):
            picture.seek(number)
            frames.append(np.asarray(picture.convert("L"), dtype=float))
    assert all(np.abs(a - b).max() > 50 for a, b in pairwise(frames))
    assert [p.name for p in tmp_path.iterdir()] == ["run.gif"]


def test_the_frame_counts_its_atoms(run, tmp_path, monkeypatch):
    from matplotlib.animation import PillowWriter

    drawn = []

    def grab(self, **_):
        ax = self.fig.axes[0]
        drawn.append((len(discs(ax)[0]), words(ax)))

    monkeypatch.setattr(PillowWriter, "grab_frame", grab)
    monkeypatch.setattr(PillowWriter, "finish", lambda self: open(self.outfile, "wb").close())
    filament.animation(run, tmp_path / "run.gif")
    atoms = run.metal_atoms.sel(time=run.snapshot_time).values.astype(int)
    assert [number for number, _ in drawn] == atoms.tolist()
    for i, (_, said) in enumerate(drawn):
        assert f"{atoms[i]} Ag" in said
        assert f"frame {i + 1} of 8" in said


def test_bad_animations_leave_nothing(run, tmp_path, monkeypatch):
    from matplotlib.animation import FFMpegWriter

    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda cls: False))
    for name, options, says in (
        ("x.avi", {}, r"\.gif, \.mp4"),
        ("x.mp4", {}, "ffmpeg"),
        ("x.gif", {"frames_per_s": 0.0}, "frames_per_s"),
        ("x.gif", {"dpi": 1e9}, "dpi"),
        ("x.gif", {"colour": "age"}, "colouring"),
    ):
        with pytest.raises(InputError, match=says):
            filament.animation(run, tmp_path / name, **options)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        filament.animation(run.isel(snapshot=slice(2)), tmp_path / "file" / "x.gif", dpi=20.0)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


# -- command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["halidrift", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return stop.value.code, *(re.sub(r"\s+", " ", text) for text in told)

    return call


WAVE = ("--waveform", "pulses amplitude=1V width=4ms period=8ms compliance=1uA")


def test_run_and_draw(command, tmp_path):
    file = tmp_path / "run.nc"
    assert command("kmc", "run", "john2022-ogb", *WAVE, "--snapshots", 5, "--seed", 1, "--out", file)[0] == 0
    made = trace.read(file)
    assert made.sizes["snapshot"] == 5
    xr.testing.assert_equal(made, CELL.simulate(trace.waveform_of(made), rng=1, snapshots=5))
    for name, options, start in (
        ("a.png", ("--at", "2ms,4ms"), b"\x89PNG"),
        ("b.svg", ("--view", "layers"), b"<?xml"),
        ("c.pdf", ("--colour", "depth"), b"%PDF"),
        ("d.gif", ("--fps", "5", "--dpi", "40"), b"GIF8"),
    ):
        code, out, err = command("kmc", "draw", file, "--out", tmp_path / name, *options)
        assert (code, err) == (0, "")
        assert str(tmp_path / name) in out
        assert (tmp_path / name).read_bytes().startswith(start)
    for says, options in {
        "does not go with an animation": ("--out", "x.gif", "--at", "2ms"),
        "unknown kind": ("--out", "x.bmp"),
        "--view": ("--out", "x.png", "--view", "top"),
        "--dpi": ("--out", "x.png", "--dpi", "1"),
        "--at": ("--out", "x.png", "--at", "2V"),
        "outside the trace": ("--out", "x.png", "--at", "2s"),
        "one device": ("--out", "x.png", "--replica", "0"),
        "names a folder": ("--out", tmp_path),
    }.items():
        code, _, err = command("kmc", "draw", file, *options)
        assert (code, says in err) == (2, True), err


def test_draw_says_what_is_missing(command, tmp_path):
    file = tmp_path / "run.nc"
    rest = ("--waveform", "hold voltage=0.1V duration=1ms samples=5")
    assert command("kmc", "run", "john2022-ogb", *rest, "--out", file)[0] == 0
    code, _, err = command("kmc", "draw", file, "--out", tmp_path / "x.png")
    assert (code, "--snapshots 40" in err) == (2, True)
    code, _, err = command("kmc", "draw", tmp_path / "none.nc", "--out", tmp_path / "x.png")
    assert (code, "none.nc" in err) == (2, True)
    code, _, err = command("kmc", "run", "john2022-ogb", *rest, "--snapshots", 99, "--out", tmp_path / "y.nc")
    assert (code, "1 to 5" in err) == (2, True)
    assert not (tmp_path / "y.nc").exists()


def test_draw_tells_a_table_and_a_folder(command, tmp_path):
    table = tmp_path / "iv.csv"
    table.write_text("V,I\n0.1,1e-9\n", encoding="utf-8")
    code, _, err = command("kmc", "draw", table, "--out", tmp_path / "x.png")
    assert (code, "is a table, not a trace" in err, "--snapshots N" in err) == (2, True, True)
    code, _, err = command("kmc", "draw", tmp_path, "--out", tmp_path / "x.png")
    assert (code, "is a folder" in err) == (2, True)


def test_draw_one_of_an_ensemble(command, tmp_path):
    file = tmp_path / "runs.nc"
    many = ("--snapshots", 3, "--replicas", 2, "--workers", 1, "--out", file)
    assert command("kmc", "run", "john2022-ogb", *WAVE, *many)[0] == 0
    code, _, err = command("kmc", "draw", file, "--out", tmp_path / "x.png")
    assert (code, "--replica 0" in err) == (2, True)
    code, _, err = command("kmc", "draw", file, "--out", tmp_path / "x.png", "--replica", 2)
    assert (code, "0 to 1" in err) == (2, True)
    assert command("kmc", "draw", file, "--out", tmp_path / "x.png", "--replica", 1)[0] == 0


@pytest.mark.parametrize("module", ["kmc.snapshots", "pipeline.figures.filament"])
def test_doctests(module):
    result = doctest.testmod(importlib.import_module(f"halidrift.{module}"))
    assert result.attempted
    assert not result.failed
