"""A collector's URL, and what of it may be shown."""

from __future__ import annotations

import base64

import pytest

from firsttoken.export._endpoint import basic_authorization, is_url, without_credentials


@pytest.mark.parametrize(
    "text", ["http://a", "https://a:4318/v1/traces", "http://me:pw@[::1]:4318/x?y=1", "HTTP://A"]
)
def test_where_a_request_can_be_sent_is_a_url(text: str) -> None:
    assert is_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "foo",
        "a:4318",
        "ftp://a",
        "http://",
        "http://a:99999",
        "http://[::1",
        "http://a b",
        "http://a\n/",
    ],
)
def test_where_none_can_be_sent_is_no_url(text: str) -> None:
    assert not is_url(text)


@pytest.mark.parametrize(
    ("url", "pair"),
    [
        ("http://me:secret@a", "me:secret"),
        ("http://me@a", "me:"),
        ("http://:secret@a", ":secret"),
        ("http://m%40e:s%3Acret%2F@a", "m@e:s:cret/"),
    ],
)
def test_user_name_and_password_become_basic_authorization(url: str, pair: str) -> None:
    assert basic_authorization(url) == f"Basic {base64.b64encode(pair.encode()).decode()}"


@pytest.mark.parametrize("url", ["http://a", "http://@a", "http://:@a", "http://a/x@y"])
def test_without_user_name_and_password_there_is_none(url: str) -> None:
    assert basic_authorization(url) is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@host:4318/path?q=1", "https://host:4318/path?q=1"),
        ("http://host/x@y", "http://host/x@y"),
        ("https://me:secret@host:99999/x", "https://host:99999/x"),
        ("https://me:sec/ret@host", "https://host"),
        ("me:secret@host:4318", "host:4318"),
        ("me:secret@host://x", "host://x"),
        ("http://me:secret@[::1", "http://[::1"),
        ("foo", "foo"),
    ],
)
def test_credentials_are_never_shown_not_even_of_what_is_no_url(url: str, shown: str) -> None:
    assert without_credentials(url) == shown
