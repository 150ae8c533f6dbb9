"""One algorithm hashes all that audiofw finds again by its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from audiofw.system import hashing
from audiofw.system.hashing import checksum, digest_bytes, digest_file, digest_json, digest_list


def test_a_digest_is_the_checksum_in_hexadecimal_digits():
    assert digest_bytes(b"clip") == checksum(b"clip").hex()
    assert len(digest_bytes(b"")) == 32


def test_another_text_or_key_is_another_digest():
    assert (
        len({digest_bytes(b"a"), digest_bytes(b"b"), digest_bytes(b"a", key=b"a"), digest_bytes(b"a", key=b"b")}) == 4
    )


@pytest.mark.parametrize("same", [{"b": [1, None], "a": 2.5}, {"a": 2.5, "b": (1, None)}])
def test_the_order_of_keys_does_not_matter_to_a_digest_of_json(same):
    assert digest_json({"a": 2.5, "b": [1, None]}) == digest_json(same) != digest_json({"a": 2.5, "b": [None, 1]})


def test_a_file_is_known_by_its_content_alone(tmp_path: Path):
    for name, data in {"a": b"clip", "b": b"clip", "c": b"clap"}.items():
        (tmp_path / name).write_bytes(data)
    a, b, c = (digest_file(tmp_path / name) for name in "abc")
    assert a == b != c
    assert len(a) == 20


def test_no_other_module_chooses_an_algorithm():
    package = Path(hashing.__file__).parents[1]
    users = [file.name for file in package.rglob("*.py") if "blake2b" in file.read_text(encoding="utf-8")]
    assert users == ["hashing.py"]


@pytest.mark.parametrize("items", [[], [1], [["a", "é", None], {"b": 1, "a": [2.5]}, "]"]])
def test_a_list_is_hashed_item_by_item_as_it_is_as_a_whole(items):
    assert digest_list(iter(items)) == digest_json(items)
