"""Requests for another name, and those of other sites' pages, are refused before anything of them is read."""

from __future__ import annotations

import pytest

pytest.importorskip("starlette", reason='needs pip install "audiofw[serve]"')

from starlette.datastructures import Headers

from audiofw.serve.guard import SameSite, names_of_this_machine

GUARD = SameSite(None, names=["studio"], public=["sounds.example"])


def status(**headers: str) -> int | None:
    refusal = GUARD.refuse(Headers(headers))
    return refusal and refusal.status


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:7860", "127.0.0.1:7860", "[::1]:7860", "192.168.0.7", "Studio:80", "sounds.example"],
)
def test_names_and_addresses_of_this_server_are_answered(host):
    assert status(host=host) is None


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "localhost.evil.example", "", "[", "a b", "::1"])
def test_other_names_may_have_been_pointed_here_by_dns(host):
    assert status(host=host) == 400


def test_programs_that_send_no_names_are_answered():
    assert status() is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:7860", "http://localhost:7860"),
        ("192.168.0.7", "http://192.168.0.7:80"),
        ("studio:443", "https://studio"),
        ("[::1]:7860", "http://[::1]:7860"),
        ("127.0.0.1:7860", "https://sounds.example"),  # a proxy that writes its own Host
    ],
)
def test_the_own_page_may_send(host, origin):
    assert status(host=host, origin=origin) is None


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://localhost:3000",
        "http://localhost",
        "http://127.0.0.1:7860",
        "http://localhost:7860.evil.example",
        "file://localhost:7860",
        "http://localhost:7860@evil.example",
        "http://sounds.example.evil",
    ],
)
def test_pages_of_other_sites_may_not(origin):
    assert status(host="localhost:7860", origin=origin) == 403


def test_a_page_without_a_host_to_compare_with_is_another_site():
    assert status(origin="http://localhost:7860") == 403


def test_this_machine_is_known_by_its_name(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "Studio.lan.example")
    assert names_of_this_machine() == {"studio.lan.example", "studio", "studio.local"}
