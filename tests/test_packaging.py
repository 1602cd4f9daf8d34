"""What the workspace hides from its own members: bounds, licences, readmes."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROJECTS = {path.parent.name: path for path in sorted(ROOT.glob("*/*/pyproject.toml"))}


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


MEMBERS = {read(path)["project"]["name"]: path for path in PROJECTS.values()}


@pytest.mark.parametrize("name", MEMBERS)
def test_sibling_dependency_carries_bounds_that_fit_its_version(name: str) -> None:
    for requirement in read(MEMBERS[name])["project"]["dependencies"]:
        sibling = re.split(r"[\[<>=!~ ]", requirement)[0]
        if sibling in MEMBERS:
            major, minor, _ = read(MEMBERS[sibling])["project"]["version"].split(".")
            bounds = re.sub(r"\[.*\]", "", requirement)
            assert bounds == f"{sibling}>={major}.{minor},<{major}.{int(minor) + 1}"


@pytest.mark.parametrize("name", MEMBERS)
def test_third_party_dependency_carries_a_lower_bound(name: str) -> None:
    for requirement in read(MEMBERS[name])["project"]["dependencies"]:
        assert ">=" in requirement or "==" in requirement, requirement


@pytest.mark.parametrize("name", MEMBERS)
def test_member_carries_licence_readme_and_the_supported_pythons(name: str) -> None:
    project, folder = read(MEMBERS[name])["project"], MEMBERS[name].parent
    assert project["license"] == "Apache-2.0"
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert project["requires-python"] == ">=3.11,<3.13"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    first_paragraph = readme.split("\n\n")[1]
    assert len(re.findall(r"[\u4e00-\u9fff]", first_paragraph)) > 30, "a README opens with a paragraph in 台灣正體"


def test_root_installs_every_member() -> None:
    root = read(ROOT / "pyproject.toml")
    names = [re.sub(r"\[.*\]", "", requirement) for requirement in root["project"]["dependencies"]]
    assert sorted(names) == sorted(MEMBERS)
    assert {name for name, source in root["tool"]["uv"]["sources"].items() if source == {"workspace": True}} == set(
        MEMBERS
    )


def test_lock_names_the_default_index_only() -> None:
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    registries = set(re.findall(r'source = \{ registry = "([^"]+)" \}', lock))
    # What uv itself takes where nobody says anything else; any other index is one machine's.
    assert registries == {"https://pypi.org/simple"}
    assert "file://" not in lock
