"""The documentation is true: its blocks are run or linted, its links lead somewhere."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from critical_path import STEPS
from critical_path import table as critical_path_of
from ruamel.yaml import YAML

from attested_publish.fronts.cli import _parser
from attested_publish.problems import Topic
from attested_publish.rehearsal.faults import ENDPOINTS, TRANSPORT, parse_fault
from attested_publish.rehearsal.history.reading import parse_history
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import STAGES
from attested_publish.settings import understand
from support.environment import without_a_job
from support.makers import make_release
from support.paths import ROOT

DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted(DOCS.glob("*.md")),
]
US = "attested-publish/attested-publish"
ACTION = YAML(typ="safe").load(ROOT / "action.yml")
PROGRAMS = Path(sys.executable).parent
PORT = "8765"
"""What the pages give the embedded index; each page that is run gets a free one instead."""

needs_bash = pytest.mark.skipif(
    sys.platform == "win32", reason="bash may be that of another system there"
)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, what else its fence says, its text."""

    page: Path
    line: int
    language: str
    more: str
    text: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass
class Step:
    """A command of a console block, and the lines that the page shows below it."""

    command: str
    shown: list[str]

    @property
    def fails(self):
        return any(line.startswith("✗") for line in self.shown)


def prose_and_blocks(page):
    """The page without its blocks, line for line, and the blocks."""
    prose, blocks, opened = [], [], None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = re.match(r" *(```+)(.*)", line)
        if opened is None and fence:
            language, _, more = fence[2].strip().partition(" ")
            opened = (fence[1], number, language, more, [])
        elif opened is not None and fence and fence[1] == opened[0] and not fence[2]:
            _, start, language, more, lines = opened
            blocks.append(Block(page, start, language, more, "".join(lines)))
            opened = None
        elif opened is not None:
            opened[-1].append(line + "\n")
        prose.append("" if opened or fence else line)
    assert opened is None, f"{page.name}:{opened[1]} is not closed"
    return prose, blocks


BLOCKS = [block for page in PAGES for block in prose_and_blocks(page)[1]]


def of(*languages):
    """The blocks in these languages; those for others than GitHub are held by other tests."""
    return [
        block
        for block in BLOCKS
        if block.language in languages and block.more not in {"gitlab", "circleci"}
    ]


def cases(blocks):
    return pytest.mark.parametrize("block", blocks, ids=str)


def by_name(path):
    return path.name


def test_every_block_is_of_a_kind_that_is_held():
    known = {
        *(
            ("yaml", ""),
            ("yaml", "gitlab"),
            ("yaml", "circleci"),
            ("json", ""),
            ("toml", ""),
            ("python", ""),
            ("mermaid", ""),
        ),
        *(("console", ""), ("console", "elsewhere"), ("text", "")),
    }
    unknown = [
        f"{block}: {block.language!r} {block.more!r}"
        for block in BLOCKS
        if (block.language, re.sub(r"save=\S+", "", block.more)) not in known
    ]
    assert unknown == []


def test_every_page_is_known():
    tracked = set(ROOT.glob("*.md")) | set(DOCS.glob("**/*.md"))
    assert tracked == set(PAGES)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in DOCS.glob("*.md") if f"docs/{page.name}" not in readme] == []
    examples = sorted(path.name for path in (DOCS / "examples").glob("*.yml"))
    assert [name for name in examples if f"docs/examples/{name}" not in readme] == []


# Console blocks.


def steps_of(block):
    steps = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            steps.append(Step(line[2:], []))
        else:
            assert steps, f"{block} shows output before a command"
            steps[-1].shown.append(line)
    return steps


def is_make(command):
    return re.match(r"make\b|\.ci/run\b", command) is not None


@cases([block for block in of("console") if block.more == "elsewhere"])
@needs_bash
def test_a_command_for_elsewhere_is_one(block):
    for step in steps_of(block):
        parsed = subprocess.run(
            [shutil.which("bash"), "-n", "-c", step.command], capture_output=True, check=False
        )
        assert parsed.returncode == 0, f"{block}: {parsed.stderr.decode()}"
        words = first_command(step.command)
        if words[0].rpartition("/")[2] == "attested-publish":
            options = _parser().parse_args(words[1:])
            given = {
                name.replace("_", "-"): value
                for name, value in vars(options).items()
                if isinstance(value, str)
            }
            understand(given)


def first_command(line):
    """Return the words before the first pipe or redirection."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    return list(itertools.takewhile(lambda word: not set(word) <= set("|&;<>"), lexer))


@cases([block for block in of("console") if not block.more])
def test_make_has_what_is_made(block):
    targets = set(
        re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for step in steps_of(block):
        if step.command.startswith("make"):
            words = [word for word in shlex.split(step.command)[1:] if "=" not in word]
            assert set(words) <= targets, f"{block}: {step.command}"
        elif is_make(step.command):
            assert os.access(ROOT / step.command, os.X_OK)


def runnable(page):
    steps = []
    for block in prose_and_blocks(page)[1]:
        if block.language == "json" and "save=" in block.more:
            name = block.more.partition("save=")[2].split()[0]
            steps.append((block, Step(f"cat > {name} <<'END'\n{block.text}END", [])))
        elif block.language == "console" and not block.more:
            steps += [(block, step) for step in steps_of(block) if not is_make(step.command)]
    return steps


@needs_bash
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[] if page.name == "README.md" else pytest.mark.slow)
        for page in PAGES
        if any(block.language == "console" for block, _ in runnable(page))
    ],
    ids=by_name,
)
def test_what_a_page_says_to_run_does_what_it_shows(page, tmp_path):
    steps = runnable(page)
    make_release(tmp_path / "dist")
    printed, statuses = run_all([step.command for _, step in steps], tmp_path)
    for number, (block, step) in enumerate(steps):
        where = f"{block}: {step.command}\n{printed[number]}"
        assert (statuses[number] != 0) == step.fails, where
        told = shape(printed[number])
        for line in step.shown:
            if line.strip() in {"", "…", "✗ exit status 1"}:
                continue
            assert shape(line) in told, f"{where}\n\nis not printed: {line}"


def run_all(commands, folder):
    """Run commands in one shell; give what each printed, and its exit status."""
    script = "".join(
        f"printf '\\n@@{number}\\n'\n{command}\nprintf '\\n@@status %d\\n' $?\n"
        for number, command in enumerate(commands)
    ).replace(PORT, str(free_port()))
    (folder / "page.sh").write_text(script, encoding="utf-8")
    kept = undisturbed()
    output = folder / "page.log"
    with output.open("wb") as log:
        running = subprocess.Popen(
            [shutil.which("bash"), str(folder / "page.sh")],
            cwd=folder,
            env={
                **kept,
                "PATH": f"{PROGRAMS}{os.pathsep}{kept['PATH']}",
                "HOME": str(folder),
                "NO_COLOR": "1",
                "PIP_CONFIG_FILE": os.devnull,
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            running.wait(timeout=100)
        finally:
            # The services that the page has started as well.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGTERM)
    printed = output.read_text(encoding="utf-8")
    parts = re.split(r"^@@\d+$", printed, flags=re.MULTILINE)[1:]
    assert len(parts) == len(commands), printed
    statuses = [int(re.search(r"^@@status (\d+)$", part, re.MULTILINE)[1]) for part in parts]
    return parts, statuses


def undisturbed():
    """The environment without what would make another job of this, or send clients elsewhere."""
    foreign = re.compile(r"(TWINE|UV|PIP)_|(HTTPS?|ALL)_PROXY", re.IGNORECASE)
    return {name: value for name, value in without_a_job().items() if not foreign.match(name)}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def shape(text):
    """A text without what differs from run to run: numbers, digests, widths."""
    text = re.sub(r"/files/\S+", "ADDRESS", text)
    text = re.sub(r"\b[0-9a-f]{12,}…?", "HASH", text)
    text = re.sub(r"\d+(\.\d+)*", "N", text)
    text = re.sub(r"N (bytes|kB|MB)\b", "SIZE", text)
    return re.sub(r"[ ─]+", " ", text).strip()


# The excerpt of `make rehearse` in the README.


def test_the_rehearsal_in_the_readme_is_what_it_prints():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    excerpt = re.search(
        r"<!-- rehearse -->\n```text\n(.*?)```\n<!-- /rehearse -->", readme, re.DOTALL
    )
    done = subprocess.run(
        [sys.executable, "-I", "-X", "utf8", "-m", "attested_publish", "rehearse"],
        env=without_a_job(),
        capture_output=True,
        timeout=100,
        check=False,
    )
    real = done.stdout.decode()
    assert done.returncode == 0, real
    # What is told meanwhile may come a line earlier or later.
    assert sorted(story(excerpt[1])) == sorted(story(real)[-len(story(excerpt[1])) :]), real


def story(text):
    return [line for line in map(shape, text.splitlines()) if line]


# YAML: whole workflows, or fragments that a minimal workflow goes around.

WRAPPER = """\
name: Wrapped

on: push

permissions: {}

concurrency:
  group: wrapped
  cancel-in-progress: false

"""
BUILD = "  build:\n    name: Build\n    runs-on: ubuntu-latest\n    steps:\n      - run: 'true'\n"


def indented(text, by):
    return "".join(f"{' ' * by}{line}" if line.strip() else line for line in text.splitlines(True))


def as_workflow(block):
    document = YAML(typ="safe").load(block.text)
    keys = set(document)
    if {"on", "jobs"} <= {str(key) for key in keys} or True in keys:
        return block.text
    if keys == {"permissions"}:
        return as_workflow_of_job(f"{block.text}steps:\n  - run: 'true'\n")
    if keys == {"steps"}:
        return as_workflow_of_job(f"permissions:\n  id-token: write # wrapped\n{block.text}")
    assert keys == {"jobs"}, f"{block} is no part of a workflow that is known here: {keys}"
    wanted = {need for job in document["jobs"].values() for need in [job.get("needs", [])]}
    others = BUILD if "build" in wanted and "build" not in document["jobs"] else ""
    return WRAPPER + block.text + others


def as_workflow_of_job(text):
    head = "jobs:\n  wrapped:\n    name: Wrapped\n    runs-on: ubuntu-latest\n"
    environment = "" if "environment:" in text else "    environment: pypi\n"
    return WRAPPER + head + environment + indented(text, 4)


def test_workflows_are_in_order(tmp_path):
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    files = []
    for block in of("yaml"):
        name = f"{block.page.stem}-{block.line}.yml".lower()
        (folder / name).write_text(as_workflow(block), encoding="utf-8")
        files.append(f".github/workflows/{name}")
    assert len(files) >= 10
    # A workflow that one of them calls.
    (folder / "build.yml").write_text(
        WRAPPER.replace("on: push", "on:\n  workflow_call:") + "jobs:\n" + BUILD
    )
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    lint(tmp_path, "actionlint", "-shellcheck", str(PROGRAMS / "shellcheck"), *files)
    # A page shows what readers know; "$/" instead of "./" needs a runner of 2026.
    rules = (ROOT / ".github" / "zizmor.yml").read_text(
        "utf-8"
    ) + "  self-repository: {disable: true}\n"
    (tmp_path / "zizmor.yml").write_text(rules)
    lint(tmp_path, "zizmor", "--offline", "--no-progress", "--config", "zizmor.yml", *files)


def lint(folder, program, *arguments):
    done = subprocess.run(
        [shutil.which(program, path=str(PROGRAMS)), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@cases(of("yaml"))
def test_the_action_is_used_right(block):
    document = YAML(typ="safe").load(as_workflow(block))
    for job in document["jobs"].values():
        for step in job.get("steps", []):
            if step.get("uses", "").partition("@")[0] != US:
                continue
            given = {name: str(value) for name, value in step.get("with", {}).items()}
            assert set(given) <= set(ACTION["inputs"]), block
            understand({name: text for name, text in given.items() if "${{" not in text})
    for output in re.findall(r"steps\.publish\.outputs\.([\w-]+)", block.text):
        assert output in ACTION["outputs"], block


def test_the_outputs_of_the_action_are_in_the_readme():
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Outputs")[2]
    rows = re.findall(r"^\| `([a-z-]+)` \|", section.partition("\n## ")[0], re.MULTILINE)
    assert rows == list(ACTION["outputs"])


# The other languages.


@cases(of("json"))
def test_json(block):
    document = json.loads(block.text)
    if "releases" in document:
        parse_history(block.text)
    elif "publishers" in document:
        Registry.parse(block.text)


@pytest.mark.parametrize("block", of("toml", "python"), ids=str)
def test_toml_and_python(block):
    if block.language == "toml":
        tomllib.loads(block.text)
    else:
        compile(block.text, str(block), "exec")


MERMAID = re.compile(
    r"sequenceDiagram|participant (?P<name>\w+) as [^#;]+"
    r"|(?P<first>\w+)-{1,2}>>(?P<second>\w+): [^#;]+|Note over (?P<over>\w+(,\w+)?): [^#;]+"
)


@cases(of("mermaid"))
def test_a_drawing_is_drawn_with_what_it_names(block):
    known = set()
    for line in filter(str.strip, block.text.splitlines()):
        match = MERMAID.fullmatch(line.strip())
        assert match, f"{block}: {line}"
        if match["name"]:
            known.add(match["name"])
        used = [match["first"], match["second"], *(match["over"] or "").split(",")]
        assert set(filter(None, used)) <= known, f"{block}: {line}"


# Links, and what pages and code name alike.


def anchors(page):
    found, seen = set(), {}
    for line in prose_and_blocks(page)[0]:
        heading = re.match(r"#{1,6} (.*)", line)
        if heading:
            text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1])
            name = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            count = seen[name] = seen.get(name, -1) + 1
            found.add(f"{name}-{count}" if count else name)
        found.update(re.findall(r'<a (?:id|name)="([^"]+)"', line))
    return found


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_links_lead_somewhere(page):
    text = "\n".join(prose_and_blocks(page)[0])
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if re.match(r"https://[\w.-]+\.\w+(/\S*)?$", target):
            continue
        assert "://" not in target, target
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{page.name}: {target}"
        assert other.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(other), f"{page.name}: {target}"


def test_every_kind_of_problem_has_its_section():
    page = DOCS / "troubleshooting.md"
    titles = re.findall(r"^### (.*)$", "\n".join(prose_and_blocks(page)[0]), re.MULTILINE)
    assert sorted(titles) == sorted(topic.value for topic in Topic)
    assert {topic.anchor for topic in Topic} <= anchors(page)


def test_the_house_is_as_it_stands():
    package = ROOT / "src" / "attested_publish"
    modules = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    named = [
        name for names in table_below(ROOT / "CONTRIBUTING.md", "## The house") for name in names
    ]
    assert sorted(named) == sorted(modules - {"__init__"})


def test_every_program_that_is_named_is_there():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"\b(?:benchmarks|tests|src)/[\w/]+\.(?:py|json)\b", text):
            assert (ROOT / name).is_file(), f"{page.name}: {name}"


def table_below(page, heading):
    """The first column of the table that follows a line of a page, without its code marks."""
    text = page.read_text(encoding="utf-8")
    _, _, rest = text.partition(heading)
    assert rest, heading
    rows = re.search(r"\|---.*?\n((?:\|.*\n)+)", rest)[1]
    return [re.findall(r"`([^`]+)`", row.split("|")[1]) for row in rows.splitlines()]


def test_the_critical_path_is_shown_as_it_is_printed():
    text = (DOCS / "large-releases.md").read_text(encoding="utf-8")
    drawn = re.search(r"<!-- critical path -->\n(.*?)<!-- /critical path -->", text, re.DOTALL)[1]
    head, line, *rows, together = drawn.splitlines()
    assert [head, line] == list(critical_path_of({2: [], 10: [], 50: []}))[:2]
    names = [row.split("|")[1].strip() for row in rows]
    assert names == [name for name in STEPS.values() if name in names]
    assert together.startswith("| **together** |")


def test_the_words_for_faults_and_latency_are_those_of_the_code():
    page = DOCS / "rehearsal.md"
    assert [name for (name,) in table_below(page, "## Slow services")] == list(STAGES)
    for (example,) in table_below(page, "## Broken services"):
        parse_fault(example)
    kinds = [
        name
        for names in table_below(page, "Every endpoint can have these faults")
        for name in names
    ]
    assert set(kinds) - {"400", "599"} == TRANSPORT
    endpoints = [name for (name,) in table_below(page, "Some endpoints have faults of their own")]
    assert endpoints == list(ENDPOINTS)
    told = page.read_text(encoding="utf-8").partition("Some endpoints have faults of their own")[2]
    for name, own in ENDPOINTS.items():
        row = re.search(rf"^\| `{name}` \|.*$", told, re.MULTILINE)[0]
        assert own <= set(re.findall(r"`(\w+)`", row)), name
