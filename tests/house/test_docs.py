"""The documents keep up: make targets, decisions, dependencies, documents, links."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SECTIONS = ("## Context", "## Options", "## Choice", "## Consequence")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_readme_tells_of_every_make_target() -> None:
    targets = re.findall(r"^([a-z]+):.*?## ", (ROOT / "Makefile").read_text(), re.M)
    readme = (ROOT / "README.md").read_text()

    assert targets
    assert [target for target in targets if f"`make {target}`" not in readme] == []


def test_continuous_integration_runs_make_test_and_nothing_more() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]

    assert commands == ['cd "$(dirname "$0")/.." && MEROID_REQUIRE_ALL=1 exec make test']


@pytest.mark.parametrize("path", DECISIONS, ids=name)
def test_a_decision_is_in_the_index_and_has_its_parts(path: Path) -> None:
    text = path.read_text()
    heading = text.splitlines()[0].removeprefix("# ")
    index = (path.parent / "README.md").read_text()

    assert re.fullmatch(r"\d{4}-[a-z0-9-]+", path.stem)
    assert heading.startswith(path.stem[:4])
    assert f"[{heading}]({path.name})" in index
    assert [section for section in SECTIONS if section not in text] == []


def test_the_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.stem[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_every_document_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    documents = [path for path in (ROOT / "docs").glob("*.md") if path.name != "README.md"]

    assert [path.name for path in documents if f"]({path.name})" not in index] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_link_to_a_file_leads_to_one(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    local = [target for target in targets if "://" not in target and not target.startswith("mailto:")]

    assert [target for target in local if not (path.parent / target).exists()] == []


def test_every_direct_dependency_says_what_it_is_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rows = [
        *project["project"]["dependencies"],
        *(row for extra in project["project"]["optional-dependencies"].values() for row in extra),
        *(row for group in project["dependency-groups"].values() for row in group if isinstance(row, str)),
        *project["build-system"]["requires"],
        *(row for row in (ROOT / "requirements" / "build.in").read_text().splitlines() if not row.startswith("#")),
    ]
    packages = [
        json.loads(path.read_text())
        for path in [*ROOT.glob("examples/*/package.json"), *ROOT.glob("tests/*/package.json")]
    ]
    from_npm = {
        name for package in packages for key in ("dependencies", "devDependencies") for name in package.get(key, ())
    }
    listed = set(re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "dependencies.md").read_text(), re.M))

    assert ({Requirement(row).name for row in rows} | from_npm) - listed == set()
