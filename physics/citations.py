"""References: who measured, calculated or derived what a result rests on.

`data/references.bib` holds every reference once; barrier files, device cards and traces name them by key.
:func:`citations` turns the keys that objects carry into a list fit to print below a result.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from .errors import DataError, InputError

__all__ = ["Reference", "bibliography", "bibtex", "citations", "cite", "data_directories"]

PACKAGED_DATA = Path(__file__).resolve().parents[1] / "data"
"""Directory of the data files that ship with the package."""

DATA_VARIABLE = "HALIDRIFT_DATA"
"""Environment variable that names a further data directory, laid out as the packaged one."""

_ENTRY = re.compile(r"@(?P<kind>[a-zA-Z]+)\{(?P<key>[A-Za-z][A-Za-z0-9_-]*),")
_FIELD = re.compile(r"(?P<name>[a-z]+)\s*=\s*\{(?P<value>.*)\},?")
_REQUIRED = {
    "article": ("author", "title", "journal", "year", "volume", "pages"),
    "book": ("author", "title", "publisher", "year"),
    "misc": ("author", "title", "year"),
}


@dataclass(frozen=True)
class Reference:
    """One entry of the bibliography.

    Parameters
    ----------
    key : str
        Citation key, e.g. ``"Woo2022"``.
    kind : str
        BibTeX entry type: ``article``, ``book`` or ``misc``.
    fields : mapping of str to str
        Field values as written in the file.
    raw : str
        The entry as written, for a bibliography manager.
    file : str
        Path of the file that holds it.
    """

    key: str
    kind: str
    fields: Mapping[str, str]
    raw: str
    file: str

    def __str__(self) -> str:
        """Return the reference as one line of plain text."""
        field = self.fields
        authors = field["author"].split(" and ")
        if authors[-1] == "others":
            names = ", ".join(authors[:-1]) + " et al."
        elif len(authors) > 1:
            names = ", ".join(authors[:-1]) + " and " + authors[-1]
        else:
            names = authors[0]
        if self.kind == "article":
            where = f"{field['journal']} {field['volume']}, {field['pages']} ({field['year']})"
        else:
            published = (f"{field['edition']} ed." if "edition" in field else "", field.get("publisher", ""))
            where = ", ".join(part for part in (*published, field["year"]) if part)
        # BibTeX braces protect capitals and do not print; a printed brace is written with a backslash
        title = re.sub(r"(?<!\\)[{}]", "", field["title"]).replace("\\{", "{").replace("\\}", "}")
        doi = f", doi:{field['doi']}" if "doi" in field else ""
        return f"{names}, {title}, {where}{doi}."


def data_directories(*extra: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Return the data directories in reading order: packaged, the user's, then those named here.

    Parameters
    ----------
    *extra : path
        Further directories, laid out as the packaged one (``barriers/*.toml``, ``references.bib``).

    Returns
    -------
    tuple of pathlib.Path

    Raises
    ------
    InputError
        If a directory does not exist.
    """
    named = (
        [(f"environment variable {DATA_VARIABLE}", os.environ[DATA_VARIABLE])] if os.environ.get(DATA_VARIABLE) else []
    )
    named += [("data directory", os.fspath(path)) for path in extra]
    for what, path in named:
        if not Path(path).is_dir():
            raise InputError(
                f"{what} does not name a directory",
                got=path,
                allowed="a directory with barriers/*.toml and, for new sources, references.bib",
                action="correct the path or drop it",
            )
    return (PACKAGED_DATA, *(Path(path).resolve() for _, path in named))


def bibliography(*data_dirs: str | os.PathLike[str]) -> dict[str, Reference]:
    """Read the packaged references and those of the user's data directories.

    Parameters
    ----------
    *data_dirs : path
        Further data directories; each may hold a ``references.bib``. The directory named by the
        environment variable ``HALIDRIFT_DATA`` is always read.

    Returns
    -------
    dict of str to Reference
        By key, in file order.

    Raises
    ------
    DataError
        If a file is not in the restricted BibTeX that its header describes, or a key appears twice.

    Examples
    --------
    >>> bibliography()["Kim2019"].fields["doi"]
    '10.1002/aelm.201900008'
    """
    references: dict[str, Reference] = {}
    for directory in dict.fromkeys(data_directories(*data_dirs)):
        file = directory / "references.bib"
        if not file.is_file():
            continue
        for reference in _read_bib(file):
            if reference.key in references:
                raise DataError(
                    "reference key is already taken",
                    file=file,
                    key=reference.key,
                    got=f"a second entry; the first is in {references[reference.key].file}",
                    action="remove one entry or give it a key of its own",
                )
            references[reference.key] = reference
    return references


def _read_bib(file: Path) -> Iterator[Reference]:
    """Yield the entries of a file in the restricted BibTeX of `references.bib`."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(
            "not UTF-8", file=file, key="(whole file)", got=str(error), action="save it as UTF-8"
        ) from error
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        number += 1
        if not line or line.startswith("%"):
            continue
        opening = _ENTRY.fullmatch(line)
        if not opening:
            raise DataError(
                "cannot read this line of the bibliography",
                file=file,
                key=f"line {number}",
                got=line,
                allowed="a % comment or the first line of an entry, @article{Key,",
                action="write one field a line and close the entry with a } on its own line",
            )
        key, kind = opening["key"], opening["kind"].lower()
        if kind not in _REQUIRED:
            raise DataError(
                "unknown entry type", file=file, key=key, got=f"@{kind}", allowed=", ".join(f"@{k}" for k in _REQUIRED)
            )
        first, fields = number - 1, {}
        while True:
            if number >= len(lines):
                raise DataError("entry is not closed", file=file, key=key, action="end it with a } on its own line")
            line = lines[number].strip()
            number += 1
            if line == "}":
                break
            pair = _FIELD.fullmatch(line)
            if not pair or not _balanced(pair["value"]) or not pair["value"].strip():
                raise DataError(
                    "cannot read this field",
                    file=file,
                    key=f"{key}, line {number}",
                    got=line,
                    allowed="name = {value}, on one line, value not empty, braces balanced",
                )
            if pair["name"] in fields:
                raise DataError("field appears twice", file=file, key=f"{key}.{pair['name']}", got=line)
            fields[pair["name"]] = pair["value"].strip()
        missing = [name for name in _REQUIRED[kind] if name not in fields]
        if missing:
            raise DataError(
                "entry lacks a field that a reader needs to find the source",
                file=file,
                key=f"{key}.{missing[0]}",
                got=f"fields {', '.join(fields)}",
                allowed=f"@{kind} has {', '.join(_REQUIRED[kind])}",
            )
        yield Reference(key, kind, fields, "\n".join(lines[first:number]), str(file))


def _balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def _look_up(keys: tuple[str, ...], data_dirs: tuple[str | os.PathLike[str], ...]) -> list[Reference]:
    references = bibliography(*data_dirs)
    for key in keys:
        if key not in references:
            near = get_close_matches(key, references, n=3)
            raise InputError(
                "no reference has this key",
                got=key,
                allowed=f"close matches: {', '.join(near)}" if near else f"one of {', '.join(sorted(references))}",
                action="correct the key or add the entry to references.bib in a data directory",
            )
    return [references[key] for key in keys]


def cite(*keys: str, data_dirs: tuple[str | os.PathLike[str], ...] = ()) -> str:
    """Format references as plain text, one a line, in the order given.

    Parameters
    ----------
    *keys : str
        Citation keys.
    data_dirs : tuple of path, optional
        Further data directories whose ``references.bib`` counts.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If a key is not in the bibliography; names the closest keys.

    Examples
    --------
    >>> print(cite("Bortz1975"))
    [Bortz1975] A. B. Bortz, M. H. Kalos and J. L. Lebowitz, A new algorithm for Monte Carlo simulation of Ising spin systems, J. Comput. Phys. 17, 10 (1975).
    """  # noqa: E501 - a reference is one line
    return "\n".join(f"[{reference.key}] {reference}" for reference in _look_up(keys, data_dirs))


def bibtex(*keys: str, data_dirs: tuple[str | os.PathLike[str], ...] = ()) -> str:
    """Return BibTeX entries as written in the data, in the order given.

    Parameters
    ----------
    *keys : str
        Citation keys.
    data_dirs : tuple of path, optional
        Further data directories whose ``references.bib`` counts.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If a key is not in the bibliography; names the closest keys.
    """
    return "\n\n".join(reference.raw for reference in _look_up(keys, data_dirs))


def citations(*objects: object, data_dirs: tuple[str | os.PathLike[str], ...] = ()) -> str:
    """List the references that objects rest on.

    A pure function of its arguments: nothing is collected behind the caller's back, so the list names what
    these objects use and no more.

    Parameters
    ----------
    *objects : Barrier, Database, Device, model, trace, or str
        Anything with a `sources` attribute (bib keys, or objects that have sources in turn), a trace whose
        ``attrs["sources"]`` is a JSON list, a list or tuple of such objects, or a bib key.
    data_dirs : tuple of path, optional
        Further data directories whose ``references.bib`` counts.

    Returns
    -------
    str
        One reference a line, sorted by key, each once.

    Raises
    ------
    InputError
        If an object names no sources, or one of its keys is not in the bibliography.

    Examples
    --------
    >>> from halidrift.physics.database import Database
    >>> row = Database.load().get("woo2022-cspbbr3-v_br")
    >>> [line.split("]")[0] for line in citations(row).splitlines()]
    ['[Woo2022', '[Yantara2024', '[Yantara2026']
    """
    return cite(*sorted({key for item in objects for key in _keys(item)}), data_dirs=data_dirs)


def _keys(item: object) -> Iterator[str]:
    """Yield the bib keys that an object names, its parts included."""
    if isinstance(item, str):
        yield item
        return
    if isinstance(item, (list, tuple, set, frozenset)):
        for part in item:
            yield from _keys(part)
        return
    # attrs first: xarray offers attrs as attributes too, so `trace.sources` would be the undecoded JSON text
    attrs = getattr(item, "attrs", None)
    if isinstance(attrs, Mapping) and "sources" in attrs:
        try:
            keys = json.loads(attrs["sources"])
        except (TypeError, json.JSONDecodeError):
            keys = None
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise InputError(
                "attrs['sources'] of a trace is not a JSON list of bib keys",
                got=attrs["sources"],
                allowed='for instance ["John2022", "Woo2022"]',
            )
        yield from keys
        return
    sources = getattr(item, "sources", None)
    if not isinstance(sources, (list, tuple, set, frozenset)):
        raise InputError(
            f"an object of type {type(item).__name__} names no sources",
            got="no `sources` tuple and no attrs['sources']" if sources is None else repr(sources),
            allowed="barriers, databases, devices, models and traces of halidrift, or bib keys",
            action="leave it out, or give it a `sources` tuple",
        )
    yield from _keys(sources)
