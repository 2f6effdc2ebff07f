"""Settings of the auth service alone: file, environment and flags, and what is wrong with them."""

import json
from pathlib import Path

import pytest

from meroid.config import BadConfigError, StandaloneSettings, load_standalone, write_standalone


def loaded(tmp_path: Path, text: str = "", name: str = "auth.toml", **environ: str) -> StandaloneSettings:
    file = tmp_path / name
    file.write_text(text, "utf-8")
    return load_standalone(file, environ)


def source(settings: StandaloneSettings, name: str) -> str:
    return next(each.source for each in settings.said if each.name == name)


def test_without_anything_the_defaults_hold() -> None:
    settings = load_standalone(None, {})

    assert settings.listen == (("127.0.0.1", 3001),)
    assert (settings.workers, settings.key_store, settings.home.name) == (1, "file:", "auth")
    assert settings.any_origin
    assert {each.source for each in settings.said} == {"default"}


def test_a_flag_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "auth.toml"
    file.write_text('listen_addr = "127.0.0.1:1"\nworkers = 2\n[jwt]\nissuer = "file"\n', "utf-8")
    environ = {"MERO_AUTH__WORKERS": "3", "MERO_AUTH__JWT__ISSUER": "environment"}

    settings = load_standalone(file, environ, workers=4)

    assert (settings.workers, settings.auth.issuer, settings.listen) == (4, "environment", (("127.0.0.1", 1),))
    assert source(settings, "workers") == "flag --workers"
    assert source(settings, "jwt.issuer") == "environment MERO_AUTH__JWT__ISSUER"
    assert source(settings, "listen_addr") == f"file {file}"


def test_the_environment_of_the_original_is_read_and_ours_goes_first() -> None:
    wire = {"AUTH__JWT__ISSUER": "theirs", "AUTH__STORAGE__PATH": "/data"}
    both = {**wire, "MERO_AUTH__JWT__ISSUER": "ours"}

    assert load_standalone(None, wire).auth.issuer == "theirs"
    assert load_standalone(None, both).auth.issuer == "ours"
    assert load_standalone(None, both).home == Path("/data")


def test_lists_stand_in_the_environment_with_commas_or_as_json() -> None:
    commas = load_standalone(None, {"MERO_AUTH__TRUSTED_PROXIES": "10.0.0.0/8, 127.0.0.1"})
    as_json = load_standalone(None, {"MERO_AUTH__TRUSTED_PROXIES": '["10.0.0.0/8", "127.0.0.1"]'})

    assert commas.trusted_proxies == as_json.trusted_proxies == ("10.0.0.0/8", "127.0.0.1")


def test_a_file_may_be_json(tmp_path: Path) -> None:
    text = json.dumps({"listen_addr": "[::1]:9", "jwt": {"access_token_expiry": 1800}})

    settings = loaded(tmp_path, text, "auth.json")

    assert (settings.listen, settings.auth.access_s) == ((("::1", 9),), 1800)


def test_the_container_file_of_the_original_is_understood(tmp_path: Path) -> None:
    text = """
        listen_addr = "0.0.0.0:3001"
        [jwt]
        issuer = "calimero-auth"
        access_token_expiry = 1800
        refresh_token_expiry = 2592000
        [storage]
        type = "rocksdb"
        path = "/data/auth_db"
        [cors]
        allow_all_origins = true
        allowed_methods = ["GET"]
        [security]
        max_body_size = 1048576
        [security.rate_limit]
        rate_limit_rpm = 50
        [security.headers]
        enabled = true
        [providers]
        near_wallet = true
        user_password = true
        [near]
        network = "testnet"
        rpc_url = "https://rpc.testnet.near.org"
        wallet_url = "https://wallet.testnet.near.org"
        [development]
        enable_mock_auth = true
        mock_auth_header_value = "Bearer test-auth-token"
    """

    settings = loaded(tmp_path, text)

    assert settings.wants_rocksdb
    assert settings.auth.near.rpc == "https://rpc.testnet.near.org"
    assert set(settings.ignored) >= {"security.rate_limit.rate_limit_rpm", "cors.allowed_methods"}
    assert "test-auth-token" not in repr(settings)


def test_what_is_unknown_is_named_and_its_value_is_not(tmp_path: Path) -> None:
    settings = loaded(tmp_path, 'sesame = "o-p-e-n"\n', MERO_AUTH__JWT__SECRET="h-i-d", OTHER="x")

    assert settings.ignored == ("sesame", "MERO_AUTH__JWT__SECRET")
    assert "h-i-d" not in repr(settings)
    assert "o-p-e-n" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("listen_addr = 3001", {}),
        ('listen_addr = "localhost:3001"', {}),
        ('listen_addr = "::1:3001"', {}),
        ('listen_addr = "[127.0.0.1]:3001"', {}),
        ('listen_addr = "127.0.0.1:65536"', {}),
        ("listen_addr = []", {}),
        ("workers = 0", {}),
        ("workers = true", {}),
        ("[storage]\ntype = 'postgres'", {}),
        ("[storage]\npath = ''", {}),
        ("jwt = 3", {}),
        ("[jwt]\nissuer = 'a?b'", {}),
        ("[providers]\nnear_wallet = 'no'", {}),
        ("trusted_proxies = ['anybody']", {}),
        ("[cors]\nallowed_origins = ['app.example']", {}),
        ("[security]\nmax_body_size = 10", {}),
        ("", {"MERO_AUTH__WORKERS": "many"}),
        ("", {"MERO_AUTH__CORS__ALLOW_ALL_ORIGINS": "perhaps"}),
        ("", {"MERO_AUTH__TRUSTED_PROXIES": "[1"}),
        ("", {"AUTH__JWT__ACCESS_TOKEN_EXPIRY": "5"}),
        ("= nothing", {}),
        ("a = 1\na = 2", {}),
    ],
)
def test_what_is_wrong_ends_the_start_and_never_becomes_a_default(
    tmp_path: Path, text: str, environ: dict[str, str]
) -> None:
    with pytest.raises(BadConfigError):
        loaded(tmp_path, text, **environ)


@pytest.mark.parametrize("text", ["[]", "{", "[" * 5000, '"text"', "\x00"])
def test_a_json_file_that_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadConfigError):
        loaded(tmp_path, text, "auth.json")


def test_a_file_that_is_not_there_or_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'jwt = "\xff"')

    for file in (tmp_path / "absent.toml", tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(BadConfigError):
            load_standalone(file, {})


def test_a_mistake_says_where_it_was_made_without_the_value(tmp_path: Path) -> None:
    with pytest.raises(BadConfigError) as caught:
        loaded(tmp_path, MERO_AUTH__JWT__REFRESH_TOKEN_EXPIRY="7")

    assert "environment MERO_AUTH__JWT__REFRESH_TOKEN_EXPIRY" in caught.value.reason


def test_origins_may_be_all_none_or_some(tmp_path: Path) -> None:
    none = loaded(tmp_path, "[cors]\nallow_all_origins = false")
    some = loaded(tmp_path, "[cors]\nallowed_origins = ['https://app.example']")
    star = loaded(tmp_path, "[cors]\nallowed_origins = ['*']")

    assert (none.any_origin, none.allowed_origins) == (False, ())
    assert (some.any_origin, some.allowed_origins) == (False, ("https://app.example",))
    assert (star.any_origin, star.allowed_origins) == (True, ())


def test_addresses_that_may_hold_a_key_are_shown_without_it(tmp_path: Path) -> None:
    text = "key_store = 'pkcs11:token=t?pin-value=1234'\n[near]\nrpc = 'https://me:pw@rpc.example/v2/KEY?apiKey=K'"

    shown = {each.name: each.value for each in loaded(tmp_path, text).said}

    assert shown["near.rpc"] == "https://rpc.example/…"
    assert shown["key_store"] == "pkcs11:…"


def test_what_is_written_for_a_new_service_is_what_it_would_run_with_anyway(tmp_path: Path) -> None:
    settings = load_standalone(None, {}, bind="127.0.0.1:1,[::1]:1", workers=2)
    write_standalone(settings, tmp_path / "auth.toml")

    read = load_standalone(tmp_path / "auth.toml", {})

    assert (read.listen, read.workers, read.auth, read.home) == (
        settings.listen, settings.workers, settings.auth, settings.home,
    )  # fmt: skip
    assert (tmp_path / "auth.toml").stat().st_mode & 0o777 == 0o600
