"""PKCS#11 URIs: what they name, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from meroid.vault.pkcs11_uri import BadPkcs11UriError, PinInUriError, Pkcs11ModuleMissingError, parse_pkcs11_uri


def test_token_object_driver_and_pin_file_are_read() -> None:
    uri = parse_pkcs11_uri(
        "token=my%20token;serial=4bd1;object=a%3Bb?module-path=/lib/driver.so&pin-source=file:/run/pin"
    )
    assert (uri.token, uri.serial, uri.label) == ("my token", b"4bd1", "a;b")
    assert uri.module() == "/lib/driver.so"
    assert uri.pin_source == Path("/run/pin")


@pytest.mark.parametrize("source", ["/run/pin", "file:/run/pin", "file:///run/pin"])
def test_a_pin_file_may_be_written_as_path_or_uri(source: str) -> None:
    assert parse_pkcs11_uri(f"token=t?pin-source={source}").pin_source == Path("/run/pin")


def test_the_driver_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PKCS11_MODULE_PATH", raising=False)
    with pytest.raises(Pkcs11ModuleMissingError) as caught:
        parse_pkcs11_uri("token=t").module()
    assert caught.value.code == "pkcs11_module_missing"
    monkeypatch.setenv("PKCS11_MODULE_PATH", "/lib/other.so")
    assert parse_pkcs11_uri("token=t").module() == "/lib/other.so"
    assert parse_pkcs11_uri("token=t?module-path=/lib/driver.so").module() == "/lib/driver.so"


@pytest.mark.parametrize("rest", ["token=t?pin-value=4711", "token=t;pin-value=4711", "?pin-value=4711"])
def test_a_pin_in_the_uri_is_refused_and_not_repeated(rest: str) -> None:
    with pytest.raises(PinInUriError) as caught:
        parse_pkcs11_uri(rest)
    assert caught.value.code == "pin_in_uri"
    assert "4711" not in str(caught.value) + caught.value.next_step


@pytest.mark.parametrize(
    "rest",
    [
        "", "?", "object=o", "token=", "token", "token=a;token=b", "token=a;", "token=t;model=m", "token=t;x-pin=1",
        "token=t?module-path=", "token=t?pin-source=relative", "token=t?pin-source=|command", "token=%00", "token=%ff",
        "token=a%0Ab", "token=t?module-path=/a&module-path=/b", "token=t?slot-id=1", "token=" + "t" * 2000,
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused(rest: str) -> None:
    with pytest.raises(BadPkcs11UriError) as caught:
        parse_pkcs11_uri(rest)
    assert caught.value.code == "bad_pkcs11_uri"


@given(st.text(max_size=60) | st.text(alphabet="token=;?&%4object-piserul", max_size=60))
def test_any_text_is_parsed_or_refused(rest: str) -> None:
    try:
        uri = parse_pkcs11_uri(rest)
    except BadPkcs11UriError:
        return
    assert uri.token or uri.serial
