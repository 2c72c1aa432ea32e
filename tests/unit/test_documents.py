"""README and docs: every block runs or says why not, every link leads somewhere, every example says what it shows.

Comments in a page, invisible to readers, steer its blocks:

- `<!-- setup` ... `-->`: Python to run at this point, such as writing the file that the next block reads; what it names
  is gone after it, because a reader cannot copy it;
- `<!-- run -->`: the next shell block is run; all others are only checked against the commands that there are;
- `<!-- not run: reason -->`: the next block is not run;
- `<!-- slow: reason -->`: the page is run by `make validate` only.

Python blocks of a page share a namespace and a fresh folder, as a reader who types them one after the other.
"""

import ast
import copy
import functools
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import halidrift as hd

ROOT = Path(hd.__file__).resolve().parent
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    *sorted(file for file in DOCS.rglob("*.md") if not {"generated", "extensions", "neb"} & set(file.parts)),
]
TOP = (ROOT / "pyproject.toml", ROOT / "Makefile")
_PIECE = re.compile(
    r"^<!--\s*(?P<word>setup|run|not run|slow)(?P<rest>.*?)-->"
    r"|^(?P<fence>```+)(?P<lang>[^\n]*)\n(?P<code>.*?)^(?P=fence)[ ]*$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A piece of code in a page.

    Attributes
    ----------
    kind : str
        "python", "shell" or "setup".
    code : str
    line : int
        Where its first line is.
    run : bool
    reason : str
        Why it is not run.
    """

    kind: str
    code: str
    line: int
    run: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Page:
    """The blocks of a page; `slow` is the reason why it is not in the default set."""

    blocks: tuple[Block, ...]
    slow: str = ""


KINDS = {"python": "python", "sh": "shell", "bash": "shell", "console": "shell"}


def parse(text):
    """Read a page."""
    blocks, slow, marked, reason = [], "", False, None
    for piece in _PIECE.finditer(text):
        word, rest = piece["word"], (piece["rest"] or "").strip().removeprefix(":").strip()
        line = text.count("\n", 0, piece.start()) + 2
        if word == "setup":
            blocks.append(Block("setup", piece["rest"], line - 1))
        elif word == "slow":
            slow = rest
            assert slow, "a slow page says why"
        elif word == "run":
            marked = True
        elif word == "not run":
            reason = rest
            assert reason, f"line {line}: a block that is not run says why"
        else:
            kind = KINDS.get(piece["lang"].strip())
            if kind is None:
                assert not marked, f"line {line}: nothing to run here"
                assert reason is None, f"line {line}: nobody would run this"
                continue
            runs = reason is None and (kind == "python" or marked)
            blocks.append(Block(kind, piece["code"], line, runs, reason or ""))
            marked, reason = False, None
    return Page(tuple(blocks), slow)


def page_of(file):
    return parse(file.read_text(encoding="utf-8"))


def named(files):
    return [pytest.param(file, id=file.relative_to(ROOT).as_posix()) for file in files]


def play(file, folder):
    """Run what runs of a page; returns the names that its Python blocks bind."""
    names = {"__name__": "__main__"}
    for block in page_of(file).blocks:
        if not block.run:
            continue
        if block.kind == "shell":
            # the reader's `halidrift` and `python`, with this very package
            path = os.pathsep.join(filter(None, [str(Path(hd.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))
            bins = folder / ".bin"
            bins.mkdir(exist_ok=True)
            for name, call in (("python", ""), ("halidrift", " -m halidrift.pipeline.cli")):
                (bins / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{call} "$@"\n', encoding="utf-8")
                (bins / name).chmod(0o755)
            search = os.pathsep.join([str(bins), os.environ["PATH"]])
            environment = {**os.environ, "PATH": search, "PYTHONPATH": path, "COLUMNS": "200"}
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.code],
                capture_output=True, text=True, cwd=folder, env=environment, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{file.name}, line {block.line}:\n{done.stdout}\n{done.stderr}"
        else:
            # tracebacks and warnings then name line numbers of the page
            code = "\n" * (block.line - 1) + block.code
            # a reader sees no setup, so no name of it either: it leaves files
            exec(compile(code, file.name, "exec"), dict(names) if block.kind == "setup" else names)
    return names


RUNNABLE = [file for file in PAGES if any(block.run and block.kind != "setup" for block in page_of(file).blocks)]
SLOW = [file for file in RUNNABLE if page_of(file).slow]
# kinetic Monte Carlo and fits: seconds each
LONG = {"README.md", "barrier-to-switch.md", "compact-fits.md", "tutorial.md"}


@pytest.fixture(autouse=True)
def _closed():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(file, id=file.relative_to(ROOT).as_posix(), marks=[pytest.mark.slow] if file.name in LONG else [])
        for file in RUNNABLE
        if file not in SLOW
    ],
)
def test_a_page_runs_as_written(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = play(file, tmp_path)
    if file.name == "README.md":
        cell = names["cell"]
        # below 0.2 of ln(G_on / G_off); relaxation of the card's calibration, 5 to 20 ms, within a factor of two
        assert max(cell.goodness.values()) < 0.2
        assert 2.5e-3 < cell.value("relaxation_time_s") < 40e-3
        assert (tmp_path / "cell.sp").is_file()


@pytest.mark.validation
@pytest.mark.parametrize("file", named(SLOW))
def test_a_slow_page_runs_as_written(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    play(file, tmp_path)


@pytest.mark.parametrize("file", named(PAGES))
def test_every_python_block_is_python(file):
    for block in page_of(file).blocks:
        if block.kind != "shell":
            ast.parse(block.code, filename=f"{file.name}, line {block.line}")


# ---- commands


@functools.cache
def extension(name):
    """A module of docs/extensions, as the build uses it."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / "extensions" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def commands_of(code):
    """Commands of a shell block as lists of words: comments gone, lines joined, chains taken apart."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        command = []
        for word in words:
            if word in ("&&", "||", "|", ";"):
                yield command
                command = []
            elif word.endswith(";"):
                yield [*command, word[:-1]]
                command = []
            else:
                command.append(word)
        if command:
            yield command


def fault(words):
    """What is wrong with a command, or None."""
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words = words[1:]
    program, *rest = words
    if program == "halidrift":
        return halidrift_fault(rest)
    if program == "make":
        targets = set(re.findall(r"^([\w-]+):", TOP[1].read_text(encoding="utf-8"), re.MULTILINE))
        unknown = [word for word in rest if "=" not in word and word not in targets]
        return f"make has no {unknown}" if unknown else None
    if program in ("python", "python3"):
        if rest and rest[0].endswith(".py"):
            return None if (ROOT / rest[0]).is_file() else f"there is no {rest[0]}"
        return None if rest and rest[0] in ("-m", "-c") else f"python {rest}"
    if program == "pip":
        extras = set(tomllib.loads(TOP[0].read_text(encoding="utf-8"))["project"]["optional-dependencies"])
        asked = {name for word in rest for part in re.findall(r"\[(.*?)\]", word) for name in part.split(",")}
        return f"no extra {asked - extras}" if asked - extras else None
    return (
        None
        if program in ("pytest", "cd", "git", ".", "source", "ngspice", "cat", "head")
        else f"unknown command {program}"
    )


def halidrift_fault(rest):
    command, words = extension("commands").tree(), list(rest)
    while hasattr(command, "commands"):
        if words and words[0] == "--help":
            return None
        if not words or words[0] not in command.commands:
            return f"halidrift has no {rest}"
        command = command.commands[words.pop(0)]
    if "--help" in words:
        return None
    checked = copy.copy(command)
    checked.callback = lambda **_: None  # everything up to the work itself
    try:
        checked.main(args=words, prog_name=command.name, standalone_mode=False)
    except Exception as error:  # typer's own errors, whichever click it brings
        return f"{command.name}: {getattr(error, 'message', error)}"
    return None


@pytest.mark.parametrize("file", named(PAGES))
def test_every_command_in_a_page_exists(file):
    for block in page_of(file).blocks:
        if block.kind == "shell":
            for words in commands_of(block.code):
                assert fault(words) is None, f"{file.name}, line {block.line}: {shlex.join(words)}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("halidrift kmc jump john2022-ogb", "has no"),
        ("halidrift kmc run john2022-ogb --snapshot-count 4", "snapshot-count"),
        ("halidrift devices too many words", "extra"),
        ("halidrift conduction iv.csv --thickness", "argument"),
        ("make everything", "everything"),
        ("python examples/none.py", "no examples"),
        ("pip install 'halidrift[moon]'", "moon"),
        ("frobnicate", "unknown"),
    ],
)
def test_a_wrong_command_is_found(line, said):
    assert said in fault(shlex.split(line))


def test_the_reader_of_pages_sees_marks_and_lines():
    text = (
        "# T\n<!-- setup\nx = 1\n-->\n\n```python\ny = x\n```\n<!-- not run: takes a day -->\n```sh\nmake docs\n```\n"
    )
    text += "<!-- run -->\n```sh\ntrue\n```\n"
    page = parse(text)
    assert [(b.kind, b.run, b.line) for b in page.blocks] == [
        ("setup", True, 2), ("python", True, 7), ("shell", False, 11), ("shell", True, 15)
    ]  # fmt: skip
    assert page.blocks[2].reason == "takes a day"
    with pytest.raises(AssertionError, match="says why"):
        parse("<!-- not run -->\n```sh\n```\n")


# ---- links


def anchors(file):
    """Anchors of headings as GitHub and the site make them."""
    found, text = set(), re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", text, re.MULTILINE):
        bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        found.add(re.sub(r"[^\w\- ]", "", bare).replace(" ", "-"))
    return found


def links(text):
    bare = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\[[^\]]*\]\(([^)\s]+)[^)]*\)", bare) + re.findall(r"<(https?://[^>\s]+)>", bare)


@pytest.mark.parametrize("file", named(PAGES))
def test_every_link_leads_somewhere(file):
    for link in links(file.read_text(encoding="utf-8")):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme in ("http", "https", "mailto"), link
            assert parts.scheme == "mailto" or re.fullmatch(r"[\w.-]+\.\w+", parts.netloc), link
            continue
        target = (file.parent / parts.path).resolve() if parts.path else file
        if "generated" in target.parts:  # made by the build, which checks it
            continue
        assert target.exists(), f"{file.name}: {link}"
        if parts.fragment and target.suffix == ".md":
            assert parts.fragment in anchors(target), f"{file.name}: {link}"


# ---- pages that the build makes


def test_the_reference_has_every_public_name(tmp_path):
    pytest.importorskip("sphinx", reason="needs halidrift[docs]")
    reference = extension("reference")
    reference.write(tmp_path)
    pages = {file.stem: file.read_text(encoding="utf-8") for file in tmp_path.glob("*.rst")}
    for level in reference.LEVELS:
        for module in reference.modules(level):
            for name in reference.public(module):
                where = reference.home(module, name).removeprefix("halidrift.")
                # its own page, or that of the module it comes from
                own = pages.get(where) or pages[module.__name__.removeprefix("halidrift.")]
                assert re.search(rf"\b{re.escape(name)}\b", own), f"{module.__name__}.{name}"
    assert "autoclass:: halidrift.fem.film.IonFilm" in pages["fem.film"]


def test_the_page_of_commands_has_every_command():
    page = extension("commands").page()
    for path, _ in extension("commands").commands(extension("commands").tree()):
        assert f"## {' '.join(path)}\n" in page


def test_misses_stand_first_on_the_page_of_results():
    verdicts = extension("verdicts")
    page = verdicts.page()
    for job, found in verdicts.read().items():
        misses = [row for row in found["quantities"] if row["verdict"] == "miss"]
        title = verdicts.TITLES[job]
        assert f"### {title}: misses, {len(misses)}" in page
        assert page.index(f"### {title}: misses") < page.index(f"### {title}: hits")


@pytest.mark.parametrize("job", ["john2022", "kim2019"])
def test_the_results_on_the_page_are_those_of_the_targets_in_the_code(job):
    # a target that was added, dropped or reworded since makes the page stale: run the job, then verdicts.py
    targets = importlib.import_module(f"halidrift.pipeline.{job}.targets").TARGETS
    printed = {(row["id"], row["quantity"], row["target"]) for row in extension("verdicts").read()[job]["quantities"]}
    coded = {(target.id, target.name, target.text) for target in targets.values()}
    names = {name for _, name, _ in printed}
    assert not {row for row in coded if row[1] in names} - printed


def test_a_quick_run_is_no_validation(tmp_path):
    (tmp_path / "results.json").write_text('{"job": "john2022", "settings": {"per_class": 40}}', encoding="utf-8")
    with pytest.raises(SystemExit, match="quick run"):
        extension("verdicts").take(tmp_path / "results.json", "none")


# ---- examples


EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("file", named(EXAMPLES))
def test_an_example_says_what_it_shows_and_its_pictures_are_there(file):
    example = extension("gallery").read(file)
    assert example.title.endswith((".", "?"))
    for name, alt in example.figures.items():
        assert (DOCS / "figures" / name).is_file(), f"make gallery: {name}"
        assert len(alt) > 20, "alternative text describes the picture"


def test_every_picture_of_the_docs_has_a_script_or_a_command():
    made = {name for example in extension("gallery").examples() for name in example.figures}
    assert {file.name for file in (DOCS / "figures").glob("*.png")} - made == set()


@pytest.mark.parametrize("file", named([file for file in EXAMPLES if extension("gallery").read(file).fast]))
def test_a_fast_example_makes_its_pictures(file, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [file.name, "--out", str(tmp_path)])
    spec = importlib.util.spec_from_file_location(f"example_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    module.main()
    for name in extension("gallery").read(file).figures:
        picture = tmp_path / name
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert picture.stat().st_size > 10_000
