"""Nothing of the vault shows a secret: not as text, not in a log, not in a traceback with all its variables."""

import base64
import copy
import importlib
import inspect
import io
import logging
import pickle
import pkgutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

import meroid.vault
from meroid.account.seed import Seed
from meroid.errors import MeroidError
from meroid.ids import AccountId
from meroid.keys.sealing import SealBrokenError
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner
from meroid.vault.environment_store import EnvironmentSecretStore
from meroid.vault.file_store import FileSecretStore, OwnedFile
from meroid.vault.key_store import encode_store_key
from meroid.vault.keyring_store import Entry, KeyringSecretStore
from meroid.vault.locked_memory import LockedSecret
from meroid.vault.moving import move_store_key
from meroid.vault.pkcs11_signer import Pkcs11Signer
from meroid.vault.pkcs11_store import Pkcs11SecretStore
from meroid.vault.pkcs11_token import Pkcs11Token
from meroid.vault.pkcs11_uri import parse_pkcs11_uri
from meroid.vault.private_file import write_private
from meroid.vault.rotation import Resealing, rotate_store_key
from meroid.vault.sealed_secrets import SecretBox
from meroid.vault.seeds import SeedVault
from meroid.vault.store_keys import open_secret_store

RAW = bytes(range(200, 232))
KEY = Secret(RAW)
SEED = Seed(Secret(bytes(range(100, 132))))
ACCOUNT = AccountId(bytes(range(1, 33)))
PIN = b"4711-0815"


def shows(text: str | bytes) -> list[str]:
    """Which secrets a text shows, in any of the forms that they might take."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    found = []
    for name, raw in (("key", RAW), ("seed", SEED.entropy.reveal()), ("pin", PIN), ("words", SEED.words().reveal())):
        forms = {
            raw,
            raw.hex().encode(),
            base64.b64encode(raw).rstrip(b"="),
            base64.urlsafe_b64encode(raw).rstrip(b"="),
            repr(raw)[2:-1].encode(),
            repr(bytearray(raw))[12:-2].encode(),
            ", ".join(map(str, raw)).encode(),
        }
        found += [name for form in forms if form in data]
    return found


def test_the_search_finds_each_form() -> None:
    for form in (repr(RAW), str(list(RAW)), RAW.hex(), repr(bytearray(RAW)), base64.urlsafe_b64encode(RAW).decode()):
        assert shows(form) == ["key"]
    assert shows(b"x" + RAW) == ["key"]
    assert shows(repr(PIN)) == ["pin"]
    assert shows("harmless") == []


def holders(folder: Path) -> list[object]:
    token = Pkcs11Token(parse_pkcs11_uri("token=t"), lambda _what: Secret(PIN))
    entry = Entry("secret-service", "meroid", "home")
    vault = SeedVault(Secret(RAW))
    return [
        Secret(RAW),
        LockedSecret(RAW),
        encode_store_key(KEY),
        vault,
        SecretBox(Secret(RAW)),
        Resealing(Secret(RAW), Secret(bytes(32))),
        FileSecretStore(folder / "key"),
        OwnedFile(folder / "key"),
        EnvironmentSecretStore("MEROID_TEST_KEY"),
        KeyringSecretStore(entry),
        entry,
        Pkcs11SecretStore(token, "label", folder / "file"),
        Pkcs11Signer(token, "label", SoftwareSigner(KEY).public_key, made_on_token=True),
        token,
        SEED,
        SoftwareSigner(KEY),
    ]


def test_every_class_of_the_vault_is_looked_at(tmp_path: Path) -> None:
    looked_at = {type(each).__name__ for each in holders(tmp_path)}
    harmless = {
        "Hardening",
        "HomeMark",
        "MoveNote",
        "Moved",
        "Pkcs11Uri",
        "Protection",
        "Surroundings",
        "UnpromptedSecretService",
    }
    for info in pkgutil.iter_modules(meroid.vault.__path__):
        module = importlib.import_module(f"meroid.vault.{info.name}")
        for name, kind in inspect.getmembers(module, inspect.isclass):
            mine = kind.__module__ == module.__name__ and not name.startswith("_")
            if mine and not issubclass(kind, MeroidError) and not getattr(kind, "_is_protocol", False):
                assert name in looked_at | harmless, f"{name} is in no list of this test"


def test_no_text_of_an_object_shows_a_secret(tmp_path: Path) -> None:
    for each in holders(tmp_path):
        texts = [repr(each), str(each), f"{each}", f"{each!r}", f"{each!s:>80}", format(each), ascii(each)]
        texts.append(repr([each, {"key": each}, (each,)]))
        for text in texts:
            assert shows(text) == [], type(each)


def test_no_object_with_a_secret_can_be_pickled_or_copied(tmp_path: Path) -> None:
    actions: list[Callable[[Any], object]] = [pickle.dumps, copy.deepcopy]
    for each in holders(tmp_path):
        for action in actions:
            try:
                result = action(each)
            except (TypeError, AttributeError, pickle.PicklingError):
                continue
            assert not isinstance(each, Secret)
            assert shows(result if isinstance(result, bytes) else repr(vars(result))) == [], type(each)


def test_no_log_shows_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = io.StringIO()
    log = structlog.wrap_logger(structlog.PrintLogger(out), processors=[structlog.processors.JSONRenderer()])
    for each in holders(tmp_path):
        logging.getLogger("t").warning("object %s, %r", each, each, extra={"object": each})
        log.info("object", each=each)
    assert shows(caplog.text) == []
    assert shows(out.getvalue()) == []
    assert len(out.getvalue()) > 500


def failures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """Calls that are refused while they hold a secret."""
    text = encode_store_key(KEY).reveal()
    for name, content in (("long", text + b"A"), ("prefixed", b"key=" + text), ("good", text), ("pin", PIN)):
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    (folder / "open").write_bytes(text)
    (folder / "open").chmod(0o644)
    (folder / "file").write_bytes(b"")
    monkeypatch.setenv("MEROID_TEST_KEY", text.decode() + "!")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    sealed = SeedVault(Secret(bytes(32))).seal(ACCOUNT, SEED)
    box = SecretBox(Secret(bytes(32))).seal("label", Secret(PIN))

    def store(uri: str) -> Any:
        return open_secret_store(uri, folder)

    def move(source: str, target: str) -> object:
        return move_store_key(source, target, home=folder, opens=lambda _key: True, switch=lambda _uri: None)

    return [
        lambda: store("file:long").load(),
        lambda: store("file:prefixed").load(),
        lambda: store("file:open").load(),
        lambda: store("file:good").save(KEY),
        lambda: store("file:file/below").save(KEY),
        lambda: store("env:MEROID_TEST_KEY").load(),
        lambda: store("env:MEROID_TEST_KEY").save(KEY),
        lambda: store("keyring:?backend=secret-service").save(KEY),
        lambda: store("pkcs11:token=t?module-path=/nonexistent").save(KEY),
        lambda: write_private(folder / "good", KEY),
        lambda: write_private(folder / "absent" / "x", KEY),
        lambda: encode_store_key(Secret(RAW + b"x")),
        lambda: SeedVault(Secret(RAW)).open(ACCOUNT, sealed),
        lambda: SecretBox(Secret(RAW)).open("label", box),
        lambda: Resealing(KEY, Secret(bytes(31) + b"1")).seed(ACCOUNT, sealed),
        lambda: move("file:good", "file:good"),
        lambda: move("file:good", "file:file"),
        lambda: move("file:good", "env:MEROID_OTHER"),
        lambda: rotate_store_key(store("file:file"), []),
        lambda: pickle.dumps(Secret(RAW)),
        lambda: copy.copy(LockedSecret(RAW)),
    ]


def test_no_traceback_of_a_refusal_shows_a_secret_not_even_with_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in failures(tmp_path, monkeypatch):
        with pytest.raises((MeroidError, SealBrokenError, TypeError, ValueError)) as caught:
            call()

        error = caught.value
        plain = "".join(traceback.format_exception(error))
        frames = traceback.TracebackException.from_exception(error, capture_locals=True)
        # The first frames are this test's own: what calls the vault.
        frames.stack = traceback.StackSummary.from_list([f for f in frames.stack if "/meroid/" in f.filename])
        assert shows(plain) == [], plain
        assert shows("".join(frames.format())) == [], "".join(frames.format())
        assert shows(repr(error) + str(error.args) + str(getattr(error, "next_step", ""))) == []


def test_a_pin_that_was_put_into_the_uri_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(MeroidError) as caught:
        open_secret_store(f"pkcs11:token=t?pin-value={PIN.decode()}", tmp_path)
    assert shows("".join(traceback.format_exception(caught.value)) + caught.value.next_step) == []


@pytest.mark.needs("softhsm2")
def test_a_wrong_pin_is_in_no_traceback(tmp_path: Path, token: Any) -> None:
    store = open_secret_store(f"pkcs11:token=a%20token?module-path={token.module}", tmp_path, lambda _what: Secret(PIN))
    with pytest.raises(MeroidError) as caught:
        store.save(KEY)
    assert caught.value.code == "wrong_pin"
    text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert shows(text) == []
