"""Pages link to what is there, and are in the navigation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llenergymeasure.config.settings import VARIABLES
from llenergymeasure.config.yaml_strict import load_yaml
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.quantity import Record

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md")), *sorted(DOCS.rglob("*.md"))]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _links(page: Path) -> Iterator[str]:
    """Where a page leads to, other hosts left out."""
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    return (link for link in _LINK.findall(text) if "://" not in link and not link.startswith("mailto:"))


def _anchors(page: Path) -> set[str]:
    """The anchors that headings give, by the rule of Python-Markdown."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+?)$", text, re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that is there, and a heading in it."""
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{_name(page)} links to {link}"
        if DOCS in page.parents:
            assert DOCS in target.parents, f"{_name(page)} links out of the site: {link}"
        if anchor:
            assert anchor in _anchors(target), f"{_name(page)} links to {link}"


def test_pages_link_to_each_other() -> None:
    """The README and the home page lead into the site."""
    assert sum(1 for page in (ROOT / "README.md", DOCS / "index.md") for _ in _links(page)) > 20


def _paths(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:
            yield from _paths(item)


def test_every_page_is_in_the_navigation() -> None:
    """Once, and nothing else is."""
    listed = sorted(_paths(load_yaml(ROOT / "mkdocs.yml").data["nav"]))
    assert listed == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_the_site_asks_no_other_host_for_anything() -> None:
    """No fonts are fetched, and no page embeds what lies elsewhere: the site can be read offline."""
    assert load_yaml(ROOT / "mkdocs.yml").data["theme"]["font"] is False
    for page in DOCS.rglob("*.md"):
        assert not re.search(r"!\[[^]]*\]\(https?:|<(script|img|link|iframe)\b", page.read_text(encoding="utf-8"))


def test_the_readme_is_short() -> None:
    """Under 150 lines: what does not fit is a page of the site."""
    assert 50 < len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def _is_a_field(name: str) -> bool:
    """Whether a dotted name leads to a field of the result; what is inside a mapping is not known here."""
    model: Any = ExperimentResult
    for part in name.split("."):
        if not (isinstance(model, type) and issubclass(model, Record)):
            return True
        if part not in model.model_fields:
            return False
        model = model.model_fields[part].annotation
    return True


def test_fields_of_a_result_that_pages_name_exist() -> None:
    """A name such as `tokens.output_tokens` leads to a field."""
    named = {
        name
        for page in DOCS.rglob("explanation/*.md")
        for name in re.findall(r"`([a-z_0-9]+(?:\.[a-z_0-9]+)+)`", page.read_text(encoding="utf-8"))
        if name.partition(".")[0] in ExperimentResult.model_fields
    }
    assert len(named) > 4
    assert [name for name in sorted(named) if not _is_a_field(name)] == []
    assert not _is_a_field("tokens.no_such_thing")


def test_every_variable_of_the_code_is_in_the_reference() -> None:
    """Whatever begins with LLEM_ in the sources is explained."""
    named = set(VARIABLES)
    for source in (ROOT / "src").rglob("*.py"):
        named |= set(re.findall(r"\"(LLEM_[A-Z_]*[A-Z])_?\"", source.read_text(encoding="utf-8")))
    page = (DOCS / "reference" / "environment-variables.md").read_text(encoding="utf-8")
    assert {"LLEM_CACHE_DIR", "LLEM_RUNNER"} <= named
    assert [variable for variable in named if variable not in page] == []
