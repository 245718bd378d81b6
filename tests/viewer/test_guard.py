"""Who may ask, and what a browser may do with the answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from firsttoken.viewer._app import Access
from firsttoken.viewer._guard import COOKIE

from .running import PROTOBUF, Running, request, stream, viewing

TOKEN = "a-token-that-is-long-enough"
BODY = request(stream(1)).SerializeToString()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Running]:
    with viewing(tmp_path / "traces.db", access=Access(TOKEN, any_host=True)) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:4318", 200),
        ("localhost:1", 200),
        ("LOCALHOST.", 200),
        ("[::1]:4318", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:4318", 403),
        ("192.168.1.5:4318", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
def test_a_name_that_only_resolves_to_this_machine_is_refused(
    viewer: Running, host: str, status: int
) -> None:
    assert viewer.client.get("/api/health", headers={"host": host}).status_code == status
    assert viewer.post(BODY, {**PROTOBUF, "host": host}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_site_can_neither_send_nor_read(viewer: Running, headers: dict[str, str]) -> None:
    assert viewer.post(BODY, {**PROTOBUF, **headers}).status_code == 403
    for path in ("/api/streams", "/api/live", "/page/main.js"):
        assert viewer.client.get(path, headers=headers).status_code == 403
    assert viewer.get("/api/health")["spans"] == 0


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_what_a_form_can_send_is_no_trace(viewer: Running, kind: str) -> None:
    assert viewer.post(BODY, {"content-type": kind}).status_code == 415


def test_the_page_itself_may_ask_and_links_to_it_work(viewer: Running) -> None:
    assert viewer.client.get("/api/streams", headers={"origin": viewer.url}).status_code == 200
    assert viewer.client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/api/streams", 200), ("/nowhere", 404), ("/api/streams?limit=x", 400)],
)
def test_every_answer_says_what_a_browser_may_do_with_it(viewer: Running, path: str, status: int) -> None:
    answer = viewer.client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers
    if path != "/":
        assert answer.headers["cache-control"] == "no-store"


def test_a_refusal_is_guarded_too(viewer: Running) -> None:
    answer = viewer.client.get("/", headers={"host": "evil.example"})
    assert "content-security-policy" in answer.headers
    assert answer.json()["error"] == "this server is called 127.0.0.1 or localhost"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": "Bearer \xff\xfe".encode("latin-1").decode("latin-1")},
        {"cookie": f"{COOKIE}=wrong"},
        {"cookie": f"other={TOKEN}"},
        {"cookie": "\x01;;="},
    ],
    ids=repr,
)
def test_without_the_token_there_is_nothing(guarded: Running, headers: dict[str, str]) -> None:
    given = {name: value.encode("latin-1") for name, value in headers.items()}
    for path in ("/", "/api/health", "/api/streams", "/page/main.js", f"/api/health?token={TOKEN}"):
        assert guarded.client.get(path, headers=given).status_code == 401
    sent = guarded.client.post("/v1/traces", content=BODY, headers={**PROTOBUF, **given})
    assert sent.status_code == 401


def test_with_the_token_there_is_all_under_any_name(guarded: Running) -> None:
    bearer = {"authorization": f"bearer {TOKEN}", "host": "viewer.example"}
    assert guarded.post(BODY, {**PROTOBUF, **bearer}).status_code == 200
    assert guarded.client.get("/api/streams", headers=bearer).json()["total"] == 1


def test_a_browser_signs_in_once_and_the_token_leaves_its_address(guarded: Running) -> None:
    with httpx.Client(base_url=guarded.url, trust_env=False) as browser:
        answer = browser.get("/", params={"token": TOKEN})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert browser.get("/api/streams").status_code == 200
        assert browser.get("/").status_code == 200
        foreign = browser.post(
            "/v1/traces", content=BODY, headers={**PROTOBUF, "origin": "https://evil.example"}
        )
        assert foreign.status_code == 403
    assert guarded.client.get("/", params={"token": "wrong"}).status_code == 401
