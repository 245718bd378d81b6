"""A fork never finds one of our imports half done."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from firsttoken.export import _lazily
from firsttoken.export._lazily import load


def test_modules_are_imported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loaded_late.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    load(("loaded_late",))
    assert sys.modules.pop("loaded_late")
    load(("loaded_late",))
    assert "loaded_late" not in sys.modules


def test_a_fork_waits_for_an_import_that_has_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, order = threading.Event(), threading.Event(), []
    monkeypatch.setattr(threading, "slow_import", (begun, go_on, order), raising=False)
    (tmp_path / "loaded_slowly.py").write_text(
        "import threading\nbegun, go_on, order = threading.slow_import\n"
        "begun.set(); go_on.wait(30); order.append('import')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    loading = threading.Thread(target=load, args=(("loaded_slowly",),))

    def fork() -> None:
        go_on.set()
        _lazily._before_fork()
        order.append("fork")
        _lazily._in_parent()

    loading.start()
    assert begun.wait(30)
    fork()
    loading.join(30)
    assert order == ["import", "fork"]
    assert not _lazily._loading.locked()
