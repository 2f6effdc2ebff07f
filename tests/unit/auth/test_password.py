import threading

import pytest

from meroid.auth.methods import BadProviderDataError, Enrolment, LoginAttempt, MethodBusyError, WrongCredentialsError
from meroid.auth.password import (
    DEFAULT_COST,
    HASHES_WAITING,
    Argon2Cost,
    PasswordLogin,
    WeakPasswordError,
    hash_password,
    verify_password,
)
from meroid.ids import AccountId

ACCOUNT = AccountId(bytes(32))
CHEAP = Argon2Cost(passes=1, memory_kib=64, lanes=1)
DEARER = Argon2Cost(passes=2, memory_kib=64, lanes=1)


def attempt(method: str = "user_password", **data: object) -> LoginAttempt:
    return LoginAttempt(method=method, public_key="alice", provider_data=data)


def test_a_password_matches_its_hash_and_no_other() -> None:
    stored = hash_password("secret", CHEAP)
    assert stored.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert verify_password(stored, "secret", CHEAP).matches
    assert not verify_password(stored, "Secret", CHEAP).matches
    assert hash_password("secret", CHEAP) != stored


def test_the_default_cost_is_the_second_option_of_rfc_9106() -> None:
    stored = hash_password("secret")
    assert "$m=65536,t=3,p=4$" in stored
    assert verify_password(stored, "secret", DEFAULT_COST).matches


def test_without_a_hash_nothing_matches_after_the_same_work() -> None:
    unmatched = CHEAP.unmatched()
    real = hash_password("secret", CHEAP)
    assert unmatched.rsplit("$", 2)[0] == real.rsplit("$", 2)[0]
    assert [len(part) for part in unmatched.split("$")] == [len(part) for part in real.split("$")]
    assert not verify_password(None, "secret", CHEAP).matches


def test_a_damaged_hash_matches_nothing() -> None:
    for stored in ("", "x", "$argon2id$", hash_password("secret", CHEAP)[:-4] + "$$$$"):
        assert not verify_password(stored, "secret", CHEAP).matches


def test_composed_and_decomposed_letters_are_the_same_password() -> None:
    assert verify_password(hash_password("caf\u00e9", CHEAP), "cafe\u0301", CHEAP).matches


def test_a_hash_of_older_cost_is_renewed_at_log_in() -> None:
    login = PasswordLogin(DEARER)
    renewed = login.verify(attempt(username="alice", password="secret"), hash_password("secret", CHEAP)).verifier
    assert renewed is not None
    assert "t=2" in renewed
    assert login.verify(attempt(username="alice", password="secret"), renewed).verifier is None


def test_a_wrong_password_and_an_unknown_user_are_refused_alike() -> None:
    login = PasswordLogin(CHEAP)
    messages = []
    for stored in (hash_password("other", CHEAP), None):
        with pytest.raises(WrongCredentialsError) as caught:
            login.verify(attempt(username="alice", password="secret"), stored)
        messages.append((caught.value.reason, caught.value.code))
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"username": "alice"},
        {"password": "secret"},
        {"username": "", "password": "secret"},
        {"username": "alice", "password": ""},
        {"username": 1, "password": "secret"},
        {"username": "alice", "password": ["secret"]},
        {"username": "alice", "password": None},
        {"username": "a" * 129, "password": "secret"},
        {"username": "alice", "password": "x" * 129},
        {"username": "al\nice", "password": "secret"},
        {"username": "alice", "password": "\ud800"},
        {"username": "\udfff", "password": "secret"},
    ],
)
def test_malformed_fields_are_refused(data: dict[str, object]) -> None:
    login = PasswordLogin(CHEAP)
    malformed = LoginAttempt(method="user_password", public_key="alice", provider_data=data)
    for act in (
        lambda: login.identify(malformed),
        lambda: login.verify(malformed, None),
        lambda: login.enrol(malformed, Enrolment(account_id=ACCOUNT, lenient=True)),
    ):
        with pytest.raises(BadProviderDataError):
            act()


def test_another_methods_attempt_is_none_of_its_business() -> None:
    assert PasswordLogin(CHEAP).identify(attempt("near_wallet")) is None
    assert PasswordLogin(CHEAP).identify(attempt("username_password", username="a", password="b")) == "a"


def test_new_passwords_have_eight_characters_unless_lenient() -> None:
    login = PasswordLogin(CHEAP)
    with pytest.raises(WeakPasswordError):
        login.enrol(attempt(username="alice", password="seven77"), Enrolment(account_id=ACCOUNT, lenient=False))
    assert login.enrol(
        attempt(username="alice", password="eight888"), Enrolment(account_id=ACCOUNT, lenient=False)
    ).verifier
    assert login.enrol(attempt(username="alice", password="dev"), Enrolment(account_id=ACCOUNT, lenient=True)).verifier


def test_too_many_checks_at_once_are_refused_and_not_queued_for_ever() -> None:
    login = PasswordLogin(CHEAP, at_once=1)
    inside, leave = threading.Event(), threading.Event()
    taken = 1 + HASHES_WAITING

    def hold() -> None:
        with login._turn():
            inside.set()
            leave.wait(10)

    threads = [threading.Thread(target=hold) for _ in range(taken)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    while login._admitted._value:
        threading.Event().wait(0.01)
    with pytest.raises(MethodBusyError):
        login.verify(attempt(username="alice", password="secret"), None)
    leave.set()
    for thread in threads:
        thread.join(10)
    with pytest.raises(WrongCredentialsError):
        login.verify(attempt(username="alice", password="secret"), None)


def test_no_repr_shows_the_password() -> None:
    assert "hunter2" not in repr(attempt(username="alice", password="hunter2"))
