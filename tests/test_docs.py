"""The documentation says what is so: its sessions run, its arithmetic holds, its code is the source's, it builds."""

import doctest
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import documents
import pytest
import typer

import mechanet as mn
from mechanet import cli
from mechanet.layers import ACTIVATIONS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *documents.pages(DOCS)]
WORKED = sorted((DOCS / "mechanics").glob("*.md"))

# Optional packages a page's sessions import; without them the page is skipped, and says so.
NEEDS = {"estimators.md": ["sklearn"], "README.md": ["matplotlib"]}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Pages may write files; they do so in a folder of their own."""
    monkeypatch.chdir(tmp_path)


# --- sessions, arithmetic, numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_block_is_of_a_known_language(path):
    unknown = {block.language for block in documents.blocks(path.read_text("utf-8"))} - documents.LANGUAGES
    assert unknown == set()


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_sessions_and_scripts_run(path):
    for package in NEEDS.get(path.name, []):
        pytest.importorskip(package, reason=f"{path.name} needs {package}")
    text = path.read_text("utf-8")
    if path.name == "gpu.md":  # the same calls on the CPU: what the GPU computes is tested elsewhere
        text = re.sub(r'"cuda(:\d)?"', '"cpu"', text)
    failures = documents.failures(text, name_of(path))
    assert not failures, failures


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_worked_numbers_hold(path):
    assert documents.wrong_steps(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", WORKED, ids=name_of)
def test_numbers_in_the_text_stand_in_an_executed_block(path):
    assert documents.unexplained_numbers(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", WORKED, ids=name_of)
def test_a_mechanism_is_told_in_six_steps(path):
    text = path.read_text("utf-8")
    if path.name in ("index.md", "the_post.md"):
        return
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    steps = ["The idea", "The formula", "The derivation", "The code", "Worked by hand", "The check"]
    assert [heading for heading in headings if heading in steps] == steps
    assert "[source: " in text
    assert {"worked", "pycon"} <= {block.language for block in documents.blocks(text)}


def test_every_public_name_has_its_place_in_the_interface():
    shown = " ".join(path.read_text("utf-8") for path in (DOCS / "api").glob("*.md"))
    names = re.findall(r"^::: mechanet\.([\w.]+)", shown, re.MULTILINE)
    assert len(names) == len(set(names))
    doors = {"datasets", "plots", "estimators"}  # shown function by function, class by class
    assert "layers.activation" in names  # shown with all that is in it
    doors |= {kind.__name__ for kind in (*ACTIVATIONS.values(), mn.Activation)}
    missing = {name for name in mn.__all__ if name not in names} - doors
    assert missing - {"losses", "optimizers"} == set()  # these modules' classes are all public themselves


# --- commands ---------------------------------------------------------------------------------------------------


def wrong_commands(markdown: str) -> list[str]:
    """Uses of ``mechanet`` in blocks and in the text with a command or an option that it does not have."""
    main = typer.main.get_command(cli.app)
    lines = [line for b in documents.blocks(markdown) if b.language in ("bash", "console")
             for line in b.text.replace("\\\n", " ").splitlines()]  # fmt: skip
    lines += re.findall(r"`(mechanet [a-z][^`]*)`", documents.FENCE.sub("", markdown))
    wrong = []
    for line in lines:
        for part in re.split(r"&&|\||;", line):
            found = re.search(r"(?:^|\s|/)mechanet\s+([a-z]+)\b(.*)", part.partition(" #")[0])
            if found is None or re.search(r"pip install|docker (build|pull|image)", part):
                continue
            command = main.commands.get(found[1])
            if command is None:
                wrong.append(f"{line}: no command {found[1]}")
                continue
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            used = {word.partition("=")[0] for word in found[2].split() if word.startswith("--")}
            wrong.extend(f"{line}: no option {option}" for option in sorted(used - known - {"--help"}))
    return wrong


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_and_their_options_exist(path):
    assert wrong_commands(path.read_text("utf-8")) == []


def test_a_wrong_command_is_found():
    page = "Run `mechanet trian`.\n\n```bash\n$ mechanet train --data mnist --epoch 3  # quick\nmechanet devices\n```\n"
    assert wrong_commands(page) == [
        "$ mechanet train --data mnist --epoch 3  # quick: no option --epoch",
        "mechanet trian: no command trian",
    ]


# --- the checkers, shown what is wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("Z₁ = 1·0.5 + 0.1 = 0.7", "0.6 is not 0.7"),
        ("P ≈ 0.1", "left of an ≈ stands what is rounded"),
        ("e = exp(-2) ≈ 0.135336", "0.1353352832366127 is not 0.135336 to the digits printed"),
        ("e = exp(-2) = 0.135335", "0.1353352832366127 is not 0.135335"),
        ("a = b + 1", "name 'b' is not defined"),
        ("a = 1 / 0", "division by zero"),
        ("a = 2\na = 3", "2.0 is not 3.0"),
        ("a = __import__('os')", "cannot be computed"),
        ("a = max.__class__", "not arithmetic"),
        ("just words", "expects a = or an ≈"),
    ],
)
def test_a_wrong_step_is_found(step, complaint):
    wrong = documents.wrong_steps(f"```worked\n{step}\n```\n")
    assert wrong
    assert complaint in wrong[-1]


def test_a_right_step_is_not_complained_of():
    steps = "ε = 1e-8\nx₁ = ½·(-2)² = 2\nℓ = -log(x₁) ≈ -0.693  # a comment = 7\nσ(0) = 0.5\n|  =  |"
    assert documents.wrong_steps(f"```worked\n{steps.rpartition(chr(10))[0]}\n```\n") == []


def test_a_wrong_session_is_found():
    page = "```pycon\n>>> 1 + 1\n3\n\n```\n"
    assert "Expected:\n    3\nGot:\n    2" in documents.failures(page)
    assert documents.failures(page.replace("3", "2")) == ""


def test_sessions_of_a_page_are_one():
    page = "```pycon\n>>> a = 2\n\n```\n\n```python\nb = a + 1\n```\n\n```pycon\n>>> b\n3\n\n```\n"
    assert documents.failures(page) == ""


def test_a_script_that_fails_is_found():
    assert "ZeroDivisionError" in documents.failures("```python\n1 / 0\n```\n")


def test_a_number_from_nowhere_is_found():
    page = "It reaches 97.83 %, from 0.5.\n\n```pycon\n>>> 0.5\n0.5\n\n```\n\nReferences: section 6.2.\n"
    assert documents.unexplained_numbers(page) == ["97.83"]


# --- the notebook -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tutorial():
    matplotlib = pytest.importorskip("matplotlib", reason="the tutorial draws with matplotlib, which is not installed")
    matplotlib.use("agg")
    return json.loads((DOCS / "tutorial.ipynb").read_text("utf-8"))["cells"]


def mnist_folder() -> Path | None:
    """Where full MNIST is on this machine, if it is."""
    for folder in (os.environ.get("MECHANET_DATA"), ROOT.parent / "shared" / "data"):
        if folder and next(Path(folder).rglob("train-images*"), None):
            return Path(folder)
    return None


def test_the_tutorial_reaches_97_percent_on_mnist(tutorial, monkeypatch):
    folder = mnist_folder()
    if folder is None:
        pytest.skip("full MNIST is not on this machine: set MECHANET_DATA to a folder that holds it")
    monkeypatch.setenv("MECHANET_DATA", str(folder))
    names, said = documents.run_notebook(tutorial)
    assert names["accuracy"] >= 0.97
    shown = [
        "".join("".join(output.get("text", output.get("data", {}).get("text/plain", ""))) for output in cell["outputs"])
        for cell in tutorial
        if cell["cell_type"] == "code"
    ]
    assert 100 * names["accuracy"] == pytest.approx(float(shown[-1].partition("%")[0]), abs=0.3)  # BLAS round differently
    for ours, theirs in zip(said, shown, strict=True):
        if "size" not in theirs:  # a figure names its size in pixels
            assert documents.words(ours) == documents.words(theirs)


def test_the_tutorial_runs_on_the_bundled_digits_as_it_says(tutorial):
    names, said = documents.run_notebook(tutorial, ('load("mnist")', 'load("digits")'))
    assert names["data"].train.x.shape == (10_000, 784)
    assert names["accuracy"] == pytest.approx(0.95, abs=0.01)
    assert "(True, True)\n" in "".join(said)  # mechanet's weights are those worked by hand
    assert "WRONG" not in "".join(said)


# --- the source in the pages, and the build ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def hooks():
    pytest.importorskip("mkdocs", reason="MkDocs is not installed: pip install 'mechanet[docs]'")
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", WORKED, ids=name_of)
def test_the_code_in_the_pages_is_the_source(path, hooks):
    text = path.read_text("utf-8")
    expanded = hooks.with_sources(text)
    assert "[source:" not in expanded
    for names in hooks.SOURCE.findall(text):
        for name in names.split(","):
            file, code = hooks.source(name.strip())
            assert code.splitlines()[0].strip() in (ROOT / file).read_text("utf-8")
            assert code in expanded
            compile(code, file, "exec")


def test_a_name_that_is_not_in_the_source_stops_the_build(hooks):
    with pytest.raises(ValueError, match="a function or class .sofmax. in src/mechanet/losses/classification.py"):
        hooks.with_sources("text\n\n[source: losses.classification.sofmax]\n")
    with pytest.raises(ValueError, match="a name in src/mechanet"):
        hooks.source("nowhere.f")


def test_source_leaves_out_the_docstring_and_nothing_else(hooks):
    file, code = hooks.source("activations.relu")
    assert file == "src/mechanet/activations.py"
    line = "return xp.maximum(Z, xp.zeros_like(Z))  # NumPy takes three times as long for an array and a number"
    assert code == f"def relu(xp: Namespace, Z: Array) -> Array:\n    {line}"


def test_the_table_of_activations_is_that_of_the_source(hooks):
    assert "\n[activations]\n" in (DOCS / "mechanics" / "relu.md").read_text("utf-8")
    lines = hooks.with_activations("Before.\n\n[activations]\n\nAfter.\n").splitlines()
    assert lines[2:4] == ["| layer | name | forward | backward |", "| --- | --- | --- | --- |"]
    assert "| `Tanh` | `tanh` | A = tanh(Z) | dZ = dA (1 - A²) |" in lines
    assert [line.split("`")[1:4:2] for line in lines[4:-2]] == [[kind.__name__, name] for name, kind in ACTIVATIONS.items()]


def test_the_documentation_builds_strictly_and_reads_without_a_network(tmp_path):
    for package in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'mechanet[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-f", ROOT / ".mkdocs.yml", "-d", tmp_path]
    env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        html = page.read_text("utf-8")
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=[\"']?(https?:)?//([^\"'\s>]+)", html)
        assert loaded == [], f"{page.name} loads {loaded}"


# --- the examples in the source ---------------------------------------------------------------------------------

EXAMPLES = sorted(path for path in (ROOT / "src").rglob("*.py") if re.search(r"^ *>>> ", path.read_text("utf-8"), re.M))


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_examples_in_docstrings_run(path):
    dotted = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    module = importlib.import_module(dotted.removesuffix(".__init__"))
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    results = doctest.testmod(module, optionflags=flags)
    assert results.attempted > 0
    assert results.failed == 0
