"""The page around a document: nothing in it can be read as markup, nothing can be fetched, nothing else can run."""

import base64
import hashlib
import json
import re
import tomllib
from pathlib import Path

import pytest

from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.formats import check_page_path
from diffuse_cli.report import page

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> & <!-- \u2028\u2029 é ☃ {{script}}"


def document_in(content):
    return json.loads(re.search(r'<script type="application/json" id="document">(.*?)</script>', content, re.S)[1])


def test_what_goes_in_comes_out():
    document = {"name": HOSTILE, "numbers": [1.5, -2, None, True], HOSTILE: {"deeper": [HOSTILE]}}
    content = page.render(document).decode()
    assert document_in(content) == document


def test_names_hold_no_markup():
    assert not re.search("[<>&\u2028\u2029]", page.json_text({"name": HOSTILE, HOSTILE: [HOSTILE]}))
    plain, hostile = (page.render({"name": name}).decode() for name in ("plain", HOSTILE))
    for mark in ("<script", "</script", "<img", "<!--"):
        assert hostile.count(mark) == plain.count(mark)


def test_numbers_that_json_does_not_know_become_null():
    assert json.loads(page.json_text({"a": [float("nan"), (float("inf"), 1.0)]})) == {"a": [None, [None, 1.0]]}


def test_the_policy_names_the_script_and_the_style_and_forbids_the_rest():
    content = page.render({"name": "x"}).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', content)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", content, re.S)[1]
        assert rules[rule] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_nothing_in_the_page_points_outside():
    content = page.render({"name": "x"}).decode()
    assert not re.search(r"\b(https?|wss?|ftp):|[\"'(=]//", content)
    assert not re.search(
        r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|import)\b\s*\(", content
    )
    assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b", content)
    sources = re.findall(r"\b(?:src|href)\s*=\s*[\"']([^\"']*)", content)
    assert sources == ["data:,"]


def test_every_script_is_in_the_page_once():
    shipped = {path.name for path in (Path(page.__file__).parent / "static").iterdir()}
    assert shipped == {"page.html", "page.css", *page.SCRIPTS}
    assert page.render({}).decode().count("{{") == 0


def test_a_page_is_never_larger_than_promised(tmp_path):
    with pytest.raises(DiffuseError, match=r"2\.\d MB, more than 2; give a lower -n"):
        page.write_page(tmp_path / "r.html", {"name": "x" * page.LIMIT})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["r.htm", "r", "r.pdf", ".html"])
def test_another_ending_is_told_what_would_work(name, tmp_path):
    with pytest.raises(UsageError, match=r"known: \.html"):
        check_page_path(tmp_path / name)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DiffuseError, match="nowhere does not exist"):
        check_page_path(tmp_path / "nowhere" / "r.html")


def test_the_wheel_takes_whatever_lies_in_the_package():
    settings = tomllib.loads((Path(page.__file__).parents[2] / "pyproject.toml").read_text())
    assert settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["diffuse_cli"]
