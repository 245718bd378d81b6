"""The floors of the house: imports point downwards, and each part knows only the outside world it must.

One table for the floors, one for what is imported from outside. A new module is one row.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import firsttoken

SOURCE = Path(firsttoken.__file__).parent
LONGEST_FILE = 320
NAMELESS = {"helper", "helpers", "util", "utils", "manager", "managers", "misc", "common", "base"}

#: Part (a module, or a package with all that is in it) -> floor.
FLOORS: dict[str, int] = {
    # floor 0: words
    "_asgi_types": 0, "_clock": 0, "_guard": 0, "_settings": 0, "_version": 0, "errors": 0, "semconv": 0,
    # floor 1: record
    "_record": 1,
    # floor 2: think
    "_http": 2, "_think": 2, "decoders": 2, "summary": 2,
    # floor 3: tell
    "_tell": 3, "export": 3,
    # floor 4: wrap, and the public names
    "__init__": 4, "_wrap": 4, "blocking": 4, "pipeline": 4,
    # floor 5: plug
    "asgi": 5, "httpx": 5, "instrumentation": 5, "testing": 5, "viewer": 5,
    # floor 6: commands
    "__main__": 6, "cli": 6,
}  # fmt: skip

#: Floor -> what any part of it may import from outside; the standard library besides.
OUTSIDE: dict[int, set[str]] = {
    0: set(),
    1: set(),
    2: {"msgspec"},
    3: {"opentelemetry"},
    4: {"opentelemetry"},
    5: {"opentelemetry"},
    6: {"opentelemetry"},
}

#: Part -> the outside world that is its own.
WORLDS: dict[str, set[str]] = {
    "_wrap": {"wrapt"},
    "asgi": {"anyio"},
    "cli": {"anyio", "fastapi", "httpx", "msgspec", "pydantic", "rich", "uvicorn"},
    "export": {"google", "httpx"},
    "httpx": {"httpx", "httpx2", "wrapt"},
    "instrumentation": {"wrapt"},
    "pipeline": {"anyio", "wrapt"},
    "testing": {"anyio"},
    "viewer": {"anyio", "fastapi", "google", "httpx", "msgspec", "pydantic", "uvicorn"},
}

#: What a part imports from above, only when somebody asks for it.
LAZY = {("__init__", "instrumentation")}

#: Floor 2 is pure: it has no clock, no thread, and touches nothing outside the process.
IMPURE = {
    "asyncio", "concurrent", "http", "io", "logging", "multiprocessing", "os", "queue", "random", "socket",
    "ssl", "subprocess", "sys", "tempfile", "threading", "time",
}  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One name that a module imports: `module` in full, `line` where."""

    module: str
    line: int


@dataclass(frozen=True)
class Module:
    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(SOURCE).with_suffix("").as_posix()

    @property
    def part(self) -> str:
        return self.name.split("/")[0]

    @property
    def floor(self) -> int:
        return FLOORS[self.part]

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text("utf-8"))

    def imports(self) -> Iterator[Import]:
        """Yield every import, wherever it is written: at the top, in a function, for type checkers."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (Import(alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}:{node.lineno} imports relatively"
                yield from (Import(f"{node.module}.{alias.name}", node.lineno) for alias in node.names)

    def parts(self) -> Iterator[tuple[str, int]]:
        """Yield each part of ours it imports, and the line; a name of the package itself is `__init__`."""
        for found in self.imports():
            root, _, rest = found.module.partition(".")
            if root == "firsttoken":
                part = rest.split(".")[0]
                yield (part if part in FLOORS else "__init__"), found.line


def modules() -> list[Module]:
    return [Module(path) for path in sorted(SOURCE.rglob("*.py"))]


MODULES = [pytest.param(module, id=module.name) for module in modules()]


def test_every_part_has_a_floor_and_every_row_a_part() -> None:
    parts = {module.part for module in modules()}
    assert parts - FLOORS.keys() == set(), "parts without a row in FLOORS"
    assert FLOORS.keys() - parts == set(), "rows of FLOORS without a part"
    assert WORLDS.keys() <= FLOORS.keys()


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module: Module) -> None:
    wrong = [
        f"line {line}: {part} (floor {FLOORS[part]})"
        for part, line in module.parts()
        if (FLOORS[part] > module.floor and (module.part, part) not in LAZY)
        or (FLOORS[part] == module.floor == 5 and part != module.part)
    ]
    assert wrong == [], f"{module.name} is on floor {module.floor}"


@pytest.mark.parametrize("module", MODULES)
def test_each_part_imports_the_outside_world_it_may(module: Module) -> None:
    allowed = (
        OUTSIDE[module.floor] | WORLDS.get(module.part, set()) | {"firsttoken"} | sys.stdlib_module_names
    )
    allowed = {*allowed, "typing_extensions"} if module.floor > 1 else allowed
    wrong = [
        f"line {found.line}: {found.module}"
        for found in module.imports()
        if found.module.split(".")[0] not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("module", [param for param in MODULES if FLOORS.get(param.values[0].part) == 2])
def test_floor_2_is_pure(module: Module) -> None:
    clock = {
        "firsttoken._clock.monotonic_ns",
        "firsttoken._clock.wall_ns",
        "firsttoken._clock.wall_offset_ns",
    }
    wrong = [
        f"line {found.line}: {found.module}"
        for found in module.imports()
        if found.module.split(".")[0] in IMPURE or found.module in clock
    ]
    assert wrong == []


@pytest.mark.parametrize("module", MODULES)
def test_no_file_is_long_and_each_says_what_it_is(module: Module) -> None:
    lines = module.path.read_text("utf-8").count("\n")
    assert lines <= LONGEST_FILE, f"{module.name} has {lines} lines"
    assert ast.get_docstring(module.tree), f"{module.name} has no docstring"
    assert module.path.stem.strip("_") not in NAMELESS


def test_the_public_names_are_imports_and_nothing_else() -> None:
    body = Module(SOURCE / "__init__.py").tree.body
    kinds = {type(node).__name__ for node in body[1:]}
    assert kinds <= {"ImportFrom", "Assign", "FunctionDef", "If"}
    assert all(hasattr(firsttoken, name) for name in firsttoken.__all__)
    assert list(firsttoken.__all__) == sorted(firsttoken.__all__)
    assert set(firsttoken.__all__) <= set(dir(firsttoken))
