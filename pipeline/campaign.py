"""What every job of `halidrift reproduce` shares: stages that are kept, outputs that appear whole, one schema."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..physics import lock
from ..physics import trace as traces
from ..physics.device import Device
from ..physics.errors import ConvergenceError, InputError, ValidityError
from ..physics.files import sweep, unwritable
from .stages import Cache, Result, Workers, check_writable, to_json, write_text

if TYPE_CHECKING:
    from ..physics.barriers import Barrier

__all__ = ["Campaign", "Progress", "Stages", "attempt", "barrier_row", "finish", "part", "prepared", "publish"]

Progress = Callable[[str, int, int, str], None]
"""Called with a stage, what of it is done, all of it, and a note: ``"cached"``, ``"done"`` or nothing."""

Step = Callable[[int, int], None]

_log = logging.getLogger(__name__)


@dataclass
class Campaign:
    """A finished run: what each stage left, and where the outputs are.

    Attributes
    ----------
    name : str
        Of the job.
    folder : Path
    settings : dataclass
    devices : tuple of Device
        One, or one for each film.
    stages : dict of str to Result
    results : dict
        The content of ``results.json``.
    origins : dict of str to dict
        What each stage was made from: ``after`` (stages), ``settings``, ``devices``, ``models``, ``source``.
    """

    name: str
    folder: Path
    settings: Any
    devices: tuple[Device, ...]
    stages: dict[str, Result] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def device(self) -> Device:
        """The device of a job that has one."""
        (only,) = self.devices
        return only


class Stages:
    """Runs the stages of a job, each from the cache where nothing that it depends on has changed.

    Parameters
    ----------
    job : Campaign
    source : str
        Module of the job; part of the hash of every stage.
    fresh : bool
        Forget finished stages.
    progress : Progress, optional
    """

    def __init__(self, job: Campaign, source: str, *, fresh: bool = False, progress: Progress | None = None):
        self.job, self.source = job, source
        self.tell: Progress = (lambda *_: None) if progress is None else progress
        self.cache = Cache(job.folder / ".stages", fresh=fresh)

    def __call__(
        self,
        name: str,
        inputs: Mapping[str, Any],
        levels: Sequence[str],
        compute: Callable[[Step], Any],
        *,
        after: Sequence[str] = (),
        settings: Sequence[str] = (),
        models: Sequence[str] = (),
    ) -> Result:
        """Run one stage.

        Parameters
        ----------
        name : str
        inputs, levels
            As for :meth:`Cache.run`.
        compute : callable
            Takes (done, total) reports and returns plain data and datasets.
        after : sequence of str
            Stages whose results it takes; one that takes none takes the cards.
        settings : sequence of str
            Settings that it follows.
        models : sequence of str
            Compact models that it makes or runs, by their name in the results.

        Notes
        -----
        The last three are written down for whoever asks where a number comes from; `inputs` decides what is computed.
        """
        chosen = asdict(self.job.settings)
        self.job.origins[name] = {
            "after": list(after),
            "settings": {key: chosen[key] for key in settings},
            "devices": [] if after else [device.name for device in self.job.devices],
            "models": list(models),
            "source": [*levels, self.source],
        }

        def step(done: int, total: int) -> None:
            self.tell(name, done, total, "")

        result = self.cache.run(name, inputs, [*levels, self.source], lambda: compute(step))
        self.tell(name, 1, 1, "cached" if result.cached else "done")
        self.job.stages[name] = result
        return result


def prepared(
    out: str | os.PathLike[str], devices: Sequence[str | os.PathLike[str] | Device], processes: int | None
) -> tuple[Path, tuple[Device, ...], int]:
    """Folder, cards and number of workers, all tried before any work.

    Parameters
    ----------
    out : path
        Folder of all outputs; made if it is missing.
    devices : sequence of str, path or Device
        Names of packaged cards, card files, or devices.
    processes : int, >= 1, or None
        Worker processes; None takes one for each core.

    Returns
    -------
    folder : Path
    devices : tuple of Device
    processes : int

    Raises
    ------
    OutputError
        If the folder cannot be written.
    InputError, DataError
        If a card or the number is wrong.
    """
    count = (os.cpu_count() or 1) if processes is None else processes
    if isinstance(count, bool) or int(count) != count or count < 1:
        raise InputError("processes must be a whole number", got=processes, allowed=">= 1")
    folder = check_writable(out)
    return folder, tuple(d if isinstance(d, Device) else Device.load(d) for d in devices), int(count)


# -- work -----------------------------------------------------------------------------------------------------------


def attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a simulation returns, or in words why the model cannot follow: a finding, told in the report.

    Parameters
    ----------
    function : callable
    *arguments : object
        What it is called with. Only ValidityError and ConvergenceError become words; any other error is raised.
    """
    try:
        return function(*arguments)
    except (ValidityError, ConvergenceError) as error:
        return f"{type(error).__name__}: {error}"


def part(jobs: Mapping[str, tuple[Any, ...]], workers: Workers, progress: Step) -> Any:
    """Run jobs; traces apart from the sentences that stand for those that failed.

    Parameters
    ----------
    jobs : mapping of str to (function, arguments...)
        By name; a function that returns a sentence has failed.
    workers : Workers
    progress : callable (done, all)

    Returns
    -------
    data : dict
        ``failures``: the sentences, by name.
    traces : dict
        What the others returned, by name.
    """
    done = workers.map(jobs, progress)
    failures = {name: value for name, value in done.items() if isinstance(value, str)}
    return {"failures": failures}, {name: value for name, value in done.items() if not isinstance(value, str)}


# -- outputs --------------------------------------------------------------------------------------------------------


def barrier_row(row: Barrier) -> dict[str, Any]:
    """A row of the barrier database as the results hold it: what is needed to find it in its source.

    Parameters
    ----------
    row : Barrier
        Of the database.

    Returns
    -------
    dict
        ``barrier`` (its id), ``value_eV``, ``text``, ``sources``, and the fields that locate the number in its source.
    """
    names = ("material", "species", "quantity", "value", "unit", "source", "locator", "method", "conditions", "via")
    return {
        "barrier": row.id,
        "value_eV": row.value_eV,
        "text": str(row),
        "sources": list(row.sources),
        **{name: getattr(row, name) for name in names},
    }


def finish(
    job: Campaign,
    step: Step,
    results: Callable[[], dict[str, Any]],
    render: Callable[[], str],
    *,
    export: Callable[[], None] = lambda: None,
) -> None:
    """Write everything that a reader opens, each file whole: traces, ``results.json`` and ``report.html``.

    One process at a time: of two jobs in one folder the later replaces all that the earlier wrote, not half of it.

    Parameters
    ----------
    job : Campaign
        Its ``results`` become what `results` returns and what those of every job hold.
    step : callable (done, all)
    results : callable
        Returns the job's own results; those that name no stage stand first.
    render : callable
        Returns the report; called when ``job.results`` is there.
    export : callable
        Writes the job's own files.
    """
    from .. import __version__

    with _alone(job.folder):
        steps = 4
        step(0, steps)
        files = _publish(job)
        export()
        step(1, steps)
        own = results()
        references = own.pop("references")
        job.results = {
            "job": job.name,
            "version": __version__,
            "settings": asdict(job.settings),
            **own,
            "failures": {
                f"{name}/{what}": text
                for name, result in job.stages.items()
                for what, text in result.data.get("failures", {}).items()
            },
            "stages": {name: _record(job, name, result) for name, result in job.stages.items()},
            "traces": files,
            "references": references,
        }
        write_text(to_json(job.results, indent=1) + "\n", job.folder / "results.json")
        step(2, steps)
        page = render()
        step(3, steps)
        write_text(page, job.folder / "report.html")
        step(4, steps)


def publish(results: Mapping[str, Any], folder: Path, draw: Callable[[Any, Path], object]) -> None:
    """Write the JSON of a job that has no report, and its picture, named after it: both or neither of another job's.

    Parameters
    ----------
    results : mapping
        ``job`` names the files.
    folder : Path
    draw : callable (results, file)
        Writes the picture.
    """
    with _alone(folder):
        write_text(to_json(results, indent=1) + "\n", folder / f"{results['job']}.json")
        draw(results, folder / f"{results['job']}.png")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The right to write what readers open, waited for; what killed processes left of it is removed."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(
                lock.waited(
                    folder / ".outputs.lock",
                    lambda holder: _log.warning("The outputs in %s are being written by %s; waiting", folder, holder),
                )
            )
        except OSError as error:
            raise unwritable(f"{folder} cannot be written", error) from error
        for place in (folder, folder / "traces"):
            sweep(place)
        yield


def _record(job: Campaign, name: str, result: Result) -> dict[str, Any]:
    """What the results say of a stage: its key, where it is kept and what it was made from."""
    kept = Cache.folder_name(name, result.key)
    return {"key": result.key, "wall_s": round(result.wall_s, 2), "kept": f".stages/{kept}", **job.origins[name]}


def _publish(job: Campaign) -> dict[str, str]:
    """Write every trace; where each lies, by stage and name."""
    files = {}
    for stage, result in job.stages.items():
        for name, data in result.traces.items():
            file = job.folder / "traces" / f"{stage}-{name}.nc"
            traces.write(data, file)  # also of a cached stage: what lies there may be of other settings
            files[f"{stage}/{name}"] = file.relative_to(job.folder).as_posix()
    return files


def parameters(device: Device) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Every number of a card, and those that were calibrated with what they were fitted to."""
    numbers = [*device.parameters.values(), device.area]
    numbers += [replace(layer.thickness, name=f"{layer.name} thickness_m") for layer in device.layers]
    rows = [
        asdict(p) | {"origin": p.origin, "spread": p.spread and asdict(p.spread) | {"origin": p.spread.origin}}
        for p in numbers
    ]
    fitted = [
        {k: p[k] for k in ("name", "value", "unit", "fitted_to", "note")} for p in rows if p["kind"] == "calibrated"
    ]
    return rows, fitted
