"""The page is served as it is, and a trace can be taken along as one file that asks nobody for anything."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from importlib import resources

import pytest

from firsttoken.viewer import _page, _traces

from .running import Running, key, request, stream

TRACE = key(1).hex()
HOSTILE = "</script><script>alert(1)</script><!--<script>\u2028 & \" '"


class Elements(HTMLParser):
    """Every element with its attributes, and the text of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in ("script", "style"):
            self.texts.append((self.found[-1][0], data))


def hash_of(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def test_every_file_of_the_page_is_served_with_its_type(viewer: Running) -> None:
    page = resources.files("firsttoken.viewer").joinpath("page")
    names = [each.name for each in page.iterdir() if each.is_file()]
    assert {"index.html", "main.js", "modules.json"} <= set(names)
    for name in names:
        answer = viewer.client.get(f"/page/{name}")
        assert (answer.status_code, answer.content) == (200, page.joinpath(name).read_bytes())
        ending = name[name.rindex(".") :]
        assert answer.headers["content-type"] == _page.MEDIA_TYPES[ending]
    assert viewer.client.get("/").content == page.joinpath("index.html").read_bytes()


def one_file(viewer: Running) -> tuple[str, Elements]:
    answer = viewer.client.get(f"/api/traces/{TRACE}/page.html")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="trace-{TRACE}.html"'
    elements = Elements()
    elements.feed(answer.text)
    return answer.text, elements


def test_the_one_file_has_the_trace_as_the_api_tells_it(viewer: Running) -> None:
    viewer.post(request(stream(1, gen_ai__request__model=HOSTILE)).SerializeToString())
    told = viewer.get(f"/api/traces/{TRACE}")
    otlp = viewer.get(f"/api/traces/{TRACE}/otlp.json")
    text, elements = one_file(viewer)
    (data,) = re.findall(r'<script type="application/json" id="trace">(.*?)</script>', text, re.DOTALL)
    assert json.loads(data) == {**told, "otlp": None, "page": None, "jaeger": None, "otlp_json": otlp}
    assert "<" not in data
    assert "alert(1)</script>" not in text
    assert [said for tag, said in elements.found if tag == "script" and said.get("id") == "trace"]


def test_of_a_large_trace_the_one_file_has_what_is_shown_only(
    viewer: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer.post(request(stream(1)).SerializeToString())
    monkeypatch.setattr(_traces, "SAVED_OTLP_MAX_BYTES", 100)
    text, _ = one_file(viewer)
    (data,) = re.findall(r'<script type="application/json" id="trace">(.*?)</script>', text, re.DOTALL)
    assert json.loads(data)["otlp_json"] is None
    assert json.loads(data)["spans"] == viewer.get(f"/api/traces/{TRACE}")["spans"]


def test_the_one_file_needs_nobody(viewer: Running) -> None:
    viewer.post(request(stream(1)).SerializeToString())
    _, elements = one_file(viewer)
    for tag, said in elements.found:
        assert tag not in ("base", "iframe", "object", "embed", "form"), tag
        for name in ("src", "href", "data", "srcset", "action"):
            assert said.get(name) in (None, "data:,"), (tag, said)
        assert not any(name.startswith("on") or name == "style" for name in said)
    for tag, style in elements.texts:
        if tag == "style":
            assert "@import" not in style
            assert not re.search(r"url\(\s*['\"]?(?!data:)", style)


def test_the_one_file_lets_a_browser_run_nothing_but_its_own_script_and_style(viewer: Running) -> None:
    viewer.post(request(stream(1, gen_ai__request__model=HOSTILE)).SerializeToString())
    text, elements = one_file(viewer)
    (policy,) = [said["content"] or "" for _, said in elements.found if said.get("http-equiv")]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    (script,) = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert rules == {
        "default-src": "'none'",
        "script-src": hash_of(script),
        "style-src": hash_of(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert text.index("Content-Security-Policy") < min(text.index("<style>"), text.index("<script"))
    assert text.count("<script") == 2
    assert not re.search(r"(?m)^(import|export)\b", script)
    page = resources.files("firsttoken.viewer").joinpath("page")
    parts = json.loads(page.joinpath("modules.json").read_bytes())
    for name in (*parts["styles"], *parts["modules"]):
        last_line = page.joinpath(name).read_text("utf-8").rstrip().rpartition("\n")[2]
        assert last_line in (style if name.endswith(".css") else script), name


def test_a_checkout_with_other_line_ends_has_the_hash_that_browsers_compute(
    viewer: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer.post(request(stream(1)).SerializeToString())
    plain, _ = one_file(viewer)
    read = _page.page_file
    monkeypatch.setattr(_page, "page_file", lambda name: (read(name) or b"").replace(b"\n", b"\r\n"))
    assert one_file(viewer)[0] == plain


def test_a_page_that_is_not_whole_is_told_as_such(viewer: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer.post(request(stream(1)).SerializeToString())
    monkeypatch.setattr(_page, "page_file", lambda name: None)
    answer = viewer.client.get(f"/api/traces/{TRACE}/page.html")
    assert answer.status_code == 500
    assert answer.json() == {"error": "the viewer's page is not whole: modules.json is missing"}
