"""Judge what well-known projects have published: the rules must find no error in it.

Resolves the newest release of a hundred projects with uv, which lists its files without
building anything, downloads the sdist and up to fifteen wheels of each into a cache folder, and
checks them as the command does. Prints every error, the other findings by rule, and the time a
file takes. Exit status 1 if there is an error.

    python benchmarks/wild.py [--cache DIR] [--projects N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from attested_publish.findings import Finding, Severity
from attested_publish.rules import checks

PROJECTS = (
    "aiohttp anyio attrs black boto3 botocore build cachetools certifi cffi charset-normalizer "
    "click cryptography cython django docutils fastapi flask flit-core fonttools frozenlist "
    "fsspec google-api-core greenlet grpcio hatchling httpcore httpx idna importlib-metadata "
    "iniconfig ipython isort jinja2 jsonschema kiwisolver lxml markdown-it-py markupsafe "
    "matplotlib maturin meson-python msgpack multidict mypy networkx numpy openpyxl orjson "
    "packaging pandas pathspec pillow pip platformdirs pluggy poetry-core propcache protobuf "
    "psutil psycopg psycopg-binary pyarrow pyasn1 pycparser pydantic pydantic-core pygments "
    "pyjwt pynacl pyparsing pytest python-dateutil pytz pyyaml pyzmq regex requests rich "
    "rpds-py ruff s3fs scikit-learn scipy setuptools six soupsieve sphinx sqlalchemy starlette "
    "tomlkit tornado tqdm twine typing-extensions urllib3 uv virtualenv werkzeug yarl "
)
WHEELS = 15
MIB = 1 << 20
# As the README promises.
MILLISECONDS_A_FILE = 50


@dataclass(frozen=True)
class Published:
    """A file that an index holds."""

    project: str
    url: str

    @property
    def filename(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


def published(projects: Sequence[str]) -> list[Published]:
    """Ask uv for the newest files of `projects`."""
    locked = subprocess.run(
        [
            *("uv", "pip", "compile", "--universal", "--no-deps", "--no-header", "--quiet"),
            *("--format", "pylock.toml", "-"),
        ],
        input="\n".join(projects),
        capture_output=True,
        text=True,
        check=True,
    )
    found = []
    for package in tomllib.loads(locked.stdout)["packages"]:
        sdist = [package["sdist"]] if "sdist" in package else []
        wheels = _spread(package.get("wheels", []), WHEELS)
        found += [Published(package["name"], file["url"]) for file in sdist + wheels]
    return found


def _spread(wheels: list[Any], count: int) -> list[Any]:
    """Take `count` of `wheels`, from all parts of the list: they are sorted by platform."""
    step = max(1, len(wheels) / count)
    return [wheels[int(index * step)] for index in range(min(count, len(wheels)))]


def download(file: Published, cache: Path) -> Path:
    """Give the path of the file in the cache, after downloading it if it is not there."""
    path = cache / file.filename
    if not path.exists():
        answer = requests.get(file.url, timeout=300)
        answer.raise_for_status()
        partial = path.with_suffix(path.suffix + ".part")
        partial.write_bytes(answer.content)
        partial.replace(path)
    return path


def judge(paths: Sequence[Path]) -> Iterator[tuple[Path, list[Finding], float]]:
    """Check each file and give its findings and the seconds they took."""
    for path in paths:
        started = time.perf_counter()
        found = checks.check_file(path, path.name, path.stat().st_size)
        yield path, found, time.perf_counter() - started


def report(judged: Sequence[tuple[Path, list[Finding], float]]) -> int:
    """Print what was found and how long it took; give the number of errors."""
    by_rule: dict[tuple[Severity, str], list[tuple[str, str]]] = defaultdict(list)
    for path, found, _ in judged:
        for finding in found:
            by_rule[finding.severity, finding.rule].append((path.name, finding.message))
    for severity in Severity:
        for (kind, rule), cases in sorted(by_rule.items()):
            if kind is not severity:
                continue
            print(f"{severity}: {rule}: {len(cases)} files")
            shown = cases if severity is not Severity.NOTICE else cases[:3]
            for message, count in Counter(message for _, message in shown).items():
                name = next(name for name, said in shown if said == message)
                print(f"    {name}{f' and {count - 1} more' if count > 1 else ''}: {message}")
    seconds = [took for _, _, took in judged]
    slowest = sorted(judged, key=lambda one: one[2], reverse=True)[:5]
    print(f"{len(judged)} files, {1000 * sum(seconds) / len(seconds):.1f} ms a file on average")
    for path, _, took in slowest:
        print(f"    {1000 * took:7.1f} ms  {path.name} ({path.stat().st_size / MIB:.1f} MiB)")
    return sum(len(cases) for (kind, _), cases in by_rule.items() if kind is Severity.ERROR)


def main() -> int:
    """Run the benchmark; give the exit status."""
    parser = argparse.ArgumentParser(description="Judge what well-known projects published.")
    parser.add_argument("--cache", type=Path, default=Path("build/wild"))
    parser.add_argument("--projects", type=int, default=100)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    files = published(PROJECTS.split()[: options.projects])
    projects = len({file.project for file in files})
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda file: download(file, options.cache), files))
    total = sum(path.stat().st_size for path in paths) / MIB
    print(f"{len(files)} files of {projects} projects, {total:,.0f} MiB")
    judged = list(judge(paths))
    errors = report(judged)
    average = 1000 * sum(took for _, _, took in judged) / len(judged)
    return 1 if errors or average > MILLISECONDS_A_FILE else 0


if __name__ == "__main__":
    sys.exit(main())
