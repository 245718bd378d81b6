"""The page's files keep the form that the server, its Content-Security-Policy and the one file rely on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

LONGEST_FILE = 300
FORBIDDEN = (
    r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function|url\(|@import|</script|</style"
)


def scripts(page_files: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted(page_files.glob("*.js"))}


def test_every_file_is_listed_after_what_it_imports(page_files: Path) -> None:
    listed = json.loads((page_files / "modules.json").read_text("utf-8"))
    sources = scripts(page_files)
    assert sorted(listed["modules"]) == sorted(sources)
    assert sorted(listed["styles"]) == sorted(path.name for path in page_files.glob("*.css"))
    for place, name in enumerate(listed["modules"]):
        imported = re.findall(r'from "\./([\w.-]+)"', sources[name])
        assert set(imported) <= set(listed["modules"][:place]), name


def test_modules_can_be_joined_into_one_script(page_files: Path) -> None:
    names: Counter[str] = Counter()
    for name, source in scripts(page_files).items():
        imports = re.findall(r"(?m)^import\s[^;]*;$", source)
        assert all(re.fullmatch(r'import \{[\w\s,]+\} from "\./[\w.-]+\.js";', one) for one in imports), (
            name
        )
        assert len(imports) == len(re.findall(r"\bimport\b\s*[{(*\"']", source)), name
        exports = re.findall(r"(?m)^export .*$", source)
        assert all(re.match(r"export (async function|function|class|const) ", one) for one in exports), name
        assert not re.search(r"export (default|\{)", source), name
        found = r"(?m)^(?:export )?(?:async function|function|class|const|let) (\w+)"
        names.update(re.findall(found, source))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("ending", ["js", "css", "html"])
def test_no_file_is_long_or_fetches_or_writes_markup(page_files: Path, ending: str) -> None:
    paths = sorted(page_files.glob(f"*.{ending}"))
    assert paths
    for path in paths:
        text = path.read_text("utf-8")
        assert text.count("\n") <= LONGEST_FILE, path.name
        if ending != "html":
            assert not re.search(FORBIDDEN, text), path.name
        assert "http://www.w3.org/2000/svg" in text or not re.search(r"https?://(?!\w*\?)[\w.]", text), (
            path.name
        )


def test_the_markup_has_nothing_inline(page_files: Path) -> None:
    html = (page_files / "index.html").read_text("utf-8")
    assert not re.search(r"\bstyle=|<style|\bon\w+=|<script(?![^>]*\bsrc=)", html)


def test_scripts_are_javascript(page_files: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to check syntax with")
    for path in sorted(page_files.glob("*.js")):
        checked = subprocess.run(
            [node, "--check", "--input-type=module", "-"], input=path.read_bytes(), capture_output=True
        )
        assert checked.returncode == 0, f"{path.name}: {checked.stderr.decode()}"
