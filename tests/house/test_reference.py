"""The written parts of the documents are what the code says; settings, permissions, capabilities are all told."""

import ast
import re
from pathlib import Path

import pytest
from scripts import reference

from meroid.access.permissions import FORMS
from meroid.config.standalone import KEYS
from meroid.errors import MeroidError
from meroid.ledger.capability import Capability
from meroid.runtime.host import HOST_FUNCTIONS
from meroid.service import refusals
from meroid.vault.store_keys import SCHEMES
from meroid.wire.admin_api import UnknownCapabilityError

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PARTS = [(path, name, part) for path, parts in reference.documents().items() for name, part in parts.items()]


def text(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


@pytest.mark.parametrize(("path", "name", "part"), PARTS, ids=[f"{path.name}-{name}" for path, name, _ in PARTS])
def test_a_written_part_is_what_the_code_says(path: Path, name: str, part: str) -> None:
    document = path.read_text("utf-8")

    assert reference.replaced(document, name, part) == document, "run: .venv/bin/python -m scripts.reference"


def test_every_error_code_stands_in_the_document() -> None:
    told = set(re.findall(r"^\| `([a-z0-9_]+)` \|", text("errors.md"), re.M))

    assert {each.code for each in reference.error_classes()} - told == set()
    assert set(reference.rule_codes()) - told == set()


def test_every_error_has_a_code_a_meaning_and_a_next_step() -> None:
    classes = reference.error_classes()

    assert [each for each in classes if not re.fullmatch(r"[a-z][a-z0-9_]*", each.code)] == []
    assert [each for each in classes if not (each.__doc__ or "").strip() or not each.next_step.strip()] == []


def test_every_rule_has_words_of_its_own() -> None:
    assert [code for code in reference.rule_codes() if code not in refusals._WORDS] == []
    assert [code for code in refusals._WORDS if code not in reference.rule_codes()] == []


SHARED = {
    "application_not_installed", "bad_alias", "internal", "local_only", "membership_ended", "not_a_member",
    "not_confirmed", "not_your_identity",
}  # fmt: skip
"""Codes that mean the same in several rooms, which can't import each other."""


def test_a_code_has_one_meaning() -> None:
    codes = [each.code for each in reference.error_classes()]

    assert {code for code in codes if codes.count(code) > 1} == SHARED


def test_a_next_step_names_documents_that_exist() -> None:
    named = {name for each in reference.error_classes() for name in re.findall(r"docs/[\w-]+\.md", each.next_step)}

    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_a_next_step_names_settings_that_exist() -> None:
    named = {name for each in reference.error_classes() for name in re.findall(r"\bserver\.[a-z_.]+", each.next_step)}

    assert [name for name in named if f"| `{name.rstrip('.')}` |" not in text("settings.md")] == []


READERS = re.compile(r"(table|texts)_in|_number|_switch")


def keys_asked(path: Path) -> set[str]:
    """The names that a module reads out of a configuration; those of the tables around them too."""
    keys: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[_, *named]) if READERS.fullmatch(name):
                keys |= {each.value for each in named if isinstance(each, ast.Constant) and isinstance(each.value, str)}
            case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str() as key), *_]):
                keys.add(key)
            case _:
                pass
    return keys - {""}  # a table without a name


def test_every_setting_is_told() -> None:
    told = text("settings.md")
    keys = {key for path in sorted((ROOT / "src/meroid/config").glob("*.py")) for key in keys_asked(path)}

    assert {"key_store", "auth_mode", "nodes", "mdns", "access_token_expiry"} <= keys
    assert [key for key in keys if not re.search(rf"`(?:\w+\.)*{key}(?:\.\w+)*`", told)] == []


def test_every_kind_of_key_store_is_told() -> None:
    assert [scheme for scheme in SCHEMES if not re.search(rf"^\| `{scheme}:", text("keys.md"), re.M)] == []


def test_every_permission_is_told_with_its_number_of_parameters() -> None:
    told = dict(re.findall(r"^\| `([a-z:-]+)` \| (\d) \|", text("auth.md"), re.M))
    alias = re.compile(r"(context:alias:\w+):(application|identity)")
    built = {":".join(path): str(count) for path, count in FORMS.items() if not alias.fullmatch(":".join(path))}

    assert told == built


def test_every_capability_is_told_by_both_its_names() -> None:
    told = text("contexts.md")

    assert [each for each in Capability if f"`{each}`" not in told] == []
    names = re.findall(r"[A-Z]\w+", UnknownCapabilityError.next_step)
    assert len(names) > 5
    assert [name for name in names if f"`{name}`" not in told] == []


def test_every_host_function_is_told() -> None:
    assert [name for name in HOST_FUNCTIONS if f"`{name}`" not in text("applications.md")] == []


def test_a_class_without_a_code_of_its_own_has_its_family_s() -> None:
    assert MeroidError in reference.error_classes()


def test_every_setting_of_the_auth_service_alone_is_told() -> None:
    assert [key.name for key in KEYS if f"`{key.name}`" not in text("settings.md")] == []


def test_every_key_of_the_auth_service_is_one_of_the_service_alone() -> None:
    asked = keys_asked(ROOT / "src/meroid/config/auth.py")
    known = {part for key in KEYS for part in key.name.split(".")}

    assert {"jwt", "issuer", "access_token_expiry", "rpc"} <= asked
    assert asked - known == set(), "give src/meroid/config/standalone.py a row for each"
