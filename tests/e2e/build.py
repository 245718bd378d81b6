"""Build Jaeger and an OpenTelemetry Collector from Go modules, once, for the end-to-end tests.

    python -m tests.e2e.build

Needs `go` and the Go module proxy; some ten minutes on two cores, the first time. What is there already is
not built again. The binaries are in `$FIRSTTOKEN_E2E_CACHE`, or else below the user's cache directory, in a
directory named after all that they are made from.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

#: One release with two numbers, v1.76.0 and v2.13.0; the module proxy knows the first. Jaeger v2 is its
#: `cmd/jaeger`.
JAEGER: Final = "github.com/jaegertracing/jaeger@v1.76.0"
JAEGER_VERSION: Final = "v2.13.0"
BUILDER: Final = "go.opentelemetry.io/collector/cmd/builder@v0.158.0"
MANIFEST: Final = Path(__file__).parent / "otelcol-manifest.yaml"
COMMAND: Final = "python -m tests.e2e.build"
NAMES: Final = ("jaeger", "otelcol")
_STRIPPED: Final = "-s -w"


def binaries() -> Path:
    """Return the directory of the binaries, whether they are there or not."""
    cache = os.environ.get("FIRSTTOKEN_E2E_CACHE")
    if not cache:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        cache = str(Path(base) / "firsttoken-e2e")
    made_from = "\n".join([JAEGER, BUILDER, _STRIPPED, MANIFEST.read_text(encoding="utf-8")])
    return Path(cache).absolute() / hashlib.sha256(made_from.encode()).hexdigest()[:16]


def missing() -> list[str]:
    """Return the names of the binaries that are not built yet."""
    return [name for name in NAMES if not (binaries() / name).is_file()]


def build() -> None:
    """Build what is missing; a build that breaks off leaves nothing behind.

    Raises:
        FileNotFoundError: if there is no `go`.
        subprocess.CalledProcessError: if it fails; it has said why on stderr.
    """
    if shutil.which("go") is None:
        raise FileNotFoundError("there is no `go` on the PATH")
    makers: dict[str, Callable[[Path], Path]] = {"jaeger": _make_jaeger, "otelcol": _make_otelcol}
    target = binaries()
    target.mkdir(parents=True, exist_ok=True)
    for name in missing():
        print(f"building {name} into {target} ...", flush=True)
        began_s = time.monotonic()
        with tempfile.TemporaryDirectory(dir=target, prefix=f".{name}-") as scratch:
            # Two at once build it twice, and the second replaces the first by the same.
            os.replace(makers[name](Path(scratch)), target / name)
        print(f"built {name} in {time.monotonic() - began_s:.0f} s", flush=True)


def _make_jaeger(scratch: Path) -> Path:
    # Its go.mod has a `replace`, which `go install` refuses; so it is built where the module lies, by its
    # own go.mod and go.sum.
    module = json.loads(_go("mod", "download", "-json", JAEGER, cwd=scratch, capture=True))
    made = scratch / "jaeger"
    version = f"-X github.com/jaegertracing/jaeger/internal/version.latestVersion={JAEGER_VERSION}"
    flags = ("-trimpath", "-ldflags", f"{_STRIPPED} {version}", "-o", str(made))
    _go("build", *flags, "./cmd/jaeger", cwd=Path(module["Dir"]))
    return made


def _make_otelcol(scratch: Path) -> Path:
    _go("run", BUILDER, "--config", str(MANIFEST), "--skip-compilation", cwd=scratch)
    made = scratch / "otelcol"
    source = scratch / "source"
    _go("build", "-trimpath", "-ldflags", _STRIPPED, "-o", str(made), ".", cwd=source)
    return made


def _go(*arguments: str, cwd: Path, capture: bool = False) -> str:
    environ = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    # These are downloads, and no checkouts that a version could be read off.
    environ["GOFLAGS"] = f"{os.environ.get('GOFLAGS', '')} -buildvcs=false".strip()
    done = subprocess.run(
        ["go", *arguments],
        cwd=cwd,
        env=environ,
        check=True,
        text=True,
        stdout=subprocess.PIPE if capture else None,
    )
    return done.stdout or ""


if __name__ == "__main__":
    try:
        build()
    except FileNotFoundError as failure:
        sys.exit(f"{COMMAND}: {failure}")
    except subprocess.CalledProcessError as failure:
        sys.exit(f"{COMMAND}: {' '.join(failure.cmd)} failed ({failure.returncode})")
    print(binaries())
