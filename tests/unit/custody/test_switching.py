"""`config.toml` names another key store, and everything else in it stays as a person wrote it."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from meroid.config import BadConfigError, ConfigUnwritableError, switch_key_store, with_key_store

URI = 'file:/a "quoted" \\ path'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('[node]\nkey_store = "file:"  # mine\nx = 1\n', "[node]\nkey_store = {}  # mine\nx = 1\n"),
        ("[ node ] # hi\nx = 1\n", "[ node ] # hi\nkey_store = {}\nx = 1\n"),
        ('node.key_store = "a"\n[swarm]\n', "node.key_store = {}\n[swarm]\n"),
        ("node = {{ key_store = 'q', z = 1 }}", "node = {{ key_store = {}, z = 1 }}"),
        ('[node]\r\n"key_store"="a"\r\n', '[node]\r\n"key_store"={}\r\n'),
        ("# only a comment\n", "# only a comment\n\n[node]\nkey_store = {}\n"),
        (
            '# key_store = "a"\ns = """\n[node]\nkey_store = "b"\n"""\n[b]\nkey_store = "c"\n[node]\nkey_store = "d"',
            '# key_store = "a"\ns = """\n[node]\nkey_store = "b"\n"""\n[b]\nkey_store = "c"\n[node]\nkey_store = {}',
        ),
    ],
)
def test_only_the_one_value_is_another(before: str, after: str) -> None:
    before, after = (
        before.replace("{{", "{").replace("}}", "}"),
        after.replace("{}", '"file:/a \\"quoted\\" \\\\ path"'),
    )
    assert with_key_store(before, URI) == after.replace("{{", "{").replace("}}", "}")


@given(uri=st.text(min_size=1))
def test_any_text_can_be_named(uri: str) -> None:
    try:
        uri.encode()
    except UnicodeEncodeError:
        return
    assert tomllib.loads(with_key_store('[node]\nkey_store = "file:"\n', uri))["node"]["key_store"] == uri


def test_the_same_value_is_left_as_it_is_written() -> None:
    text = "[node]\nkey_store = 'file:'"
    assert with_key_store(text, "file:") == text


def test_what_can_not_be_changed_alone_is_refused() -> None:
    with pytest.raises(ConfigUnwritableError) as caught:
        with_key_store("node = { z = 1 }", URI)
    assert caught.value.code == "config_unwritable"
    with pytest.raises(BadConfigError):
        with_key_store("[node", URI)


def test_the_file_is_private_whole_and_a_link_stays_one(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.toml"
    real.write_text('[node]\nkey_store = "file:"\n')
    (tmp_path / "config.toml").symlink_to(real)

    switch_key_store(tmp_path, "keyring:")

    assert real.read_text() == '[node]\nkey_store = "keyring:"\n'
    assert real.stat().st_mode & 0o777 == 0o600
    assert {each.name for each in tmp_path.iterdir()} == {"elsewhere.toml", "config.toml"}
    assert (tmp_path / "config.toml").is_symlink()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigUnwritableError):
        switch_key_store(tmp_path, "keyring:")
