"""What the API promises without a node: names, signatures, small classes, paths of token files, arguments."""

import inspect
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

import calimero
import calimero_client_py
from calimero_client_py import (
    AuthMode,
    Client,
    ClientError,
    ConnectionInfo,
    InvalidIdError,
    JwtToken,
    RequestFailedError,
    create_client,
    create_connection,
    get_token_cache_dir,
    get_token_cache_path,
)

ID = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"


@pytest.fixture
def client() -> Client:
    return create_client(create_connection("http://127.0.0.1:9"))


def test_both_modules_have_the_names_of_the_contract() -> None:
    shared = {
        "create_connection",
        "create_client",
        "Client",
        "ConnectionInfo",
        "JwtToken",
        "ClientError",
        "AuthMode",
        "get_token_cache_path",
        "get_token_cache_dir",
    }

    assert shared == set(calimero.__all__)
    assert shared | {"VERSION"} <= set(calimero_client_py.__all__)
    assert calimero_client_py.VERSION == calimero.__version__ == "0.3.0"
    assert not hasattr(calimero_client_py, "__version__")
    assert all(hasattr(calimero, name) for name in (*shared, "__author__", "__email__"))


METHODS = {
    "get_api_url": "()",
    "get_application": "(app_id)",
    "list_applications": "()",
    "install_application": "(url, hash=None, metadata=None)",
    "install_dev_application": "(path, metadata=None)",
    "uninstall_application": "(app_id)",
    "upload_blob": "(data, context_id=None)",
    "download_blob": "(blob_id, context_id=None)",
    "list_blobs": "()",
    "get_blob_info": "(blob_id)",
    "delete_blob": "(blob_id)",
    "get_peers_count": "()",
    "generate_context_identity": "()",
    "create_context": "(application_id, protocol, params=None)",
    "list_contexts": "()",
    "get_context": "(context_id)",
    "delete_context": "(context_id)",
    "get_context_storage": "(context_id)",
    "get_context_identities": "(context_id)",
    "get_context_client_keys": "(context_id)",
    "sync_context": "(context_id)",
    "sync_all_contexts": "()",
    "update_context_application": "(context_id, application_id, executor_public_key)",
    "invite_to_context": "(context_id, inviter_id, invitee_id)",
    "join_context": "(context_id, invitee_id, invitation_payload)",
    "invite_to_context_by_open_invitation": "(context_id, inviter_id, valid_for_blocks)",
    "join_context_by_open_invitation": "(invitation_json, new_member_public_key)",
    "execute_function": "(context_id, method, args, executor_public_key)",
    "grant_permissions": "(context_id, permissions)",
    "revoke_permissions": "(context_id, permissions)",
    "list_proposals": "(context_id, args=None)",
    "get_proposal": "(context_id, proposal_id)",
    "get_proposal_approvers": "(context_id, proposal_id)",
    "create_and_approve_proposal": "(context_id, request_json)",
    "approve_proposal": "(context_id, request_json)",
    "create_context_alias": "(alias, context_id)",
    "create_context_identity_alias": "(context_id, alias, public_key)",
    "create_application_alias": "(alias, application_id)",
    "create_alias_generic": "(alias, value, scope=None)",
    "delete_context_alias": "(alias)",
    "delete_context_identity_alias": "(alias, context_id)",
    "delete_application_alias": "(alias)",
    "list_context_aliases": "()",
    "list_context_identity_aliases": "(context_id)",
    "list_application_aliases": "()",
    "lookup_context_alias": "(alias)",
    "lookup_context_identity_alias": "(alias, context_id)",
    "lookup_application_alias": "(alias)",
    "resolve_context_alias": "(alias)",
    "resolve_context_identity_alias": "(alias, context_id)",
    "resolve_application_alias": "(alias)",
}


@pytest.mark.parametrize("name", METHODS)
def test_each_method_has_the_signature_of_the_contract(name: str, client: Client) -> None:
    parameters = inspect.signature(getattr(client, name)).parameters.values()
    shown = ", ".join(
        each.name + ("" if each.default is inspect.Parameter.empty else f"={each.default}") for each in parameters
    )

    assert f"({shown})" == METHODS[name]
    assert getattr(Client, name).__doc__


def test_there_are_no_public_methods_beyond_the_contract() -> None:
    assert {name for name in dir(Client) if not name.startswith("_")} == set(METHODS)


def test_addresses_are_normalised_and_bad_ones_refused() -> None:
    connection = create_connection(api_url="http://LOCALHOST:2528", node_name="n1")

    assert (connection.api_url, connection.node_name) == ("http://localhost:2528/", "n1")
    assert create_client(connection).get_api_url() == connection.api_url
    assert create_connection("https://a.example/x").node_name is None
    for bad in ("", "nonsense", "http://"):
        with pytest.raises(ValueError, match=r"^Invalid URL: "):
            ConnectionInfo(bad)
    with pytest.raises(TypeError):
        ConnectionInfo(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Client("http://a")  # type: ignore[arg-type]


def test_auth_modes_are_read_in_any_letter_case() -> None:
    assert [AuthMode(text).value for text in ("none", "REQUIRED", "None")] == ["none", "required", "none"]
    assert (str(AuthMode("none")), repr(AuthMode("none"))) == ("none", "AuthMode('none')")
    with pytest.raises(ValueError, match=r"^AuthMode must be 'required' or 'none'$"):
        AuthMode("maybe")


def test_a_token_tells_when_it_has_ended_and_hides_itself() -> None:
    token = JwtToken("abcdefghijklmnop", "refresh-secret", 1)

    assert token.is_expired()
    assert not JwtToken("a").is_expired()
    assert not JwtToken("a", None, 2**40).is_expired()
    for text in (str(token), repr(token)):
        assert "abcdefghij" in text
        assert "k" not in text.split("...")[0].replace("access_token", "").replace("JwtToken", "")
        assert "refresh-secret" not in text
    with pytest.raises(AttributeError):
        token.access_token = "x"  # type: ignore[misc]


def test_client_error_is_an_exception_with_its_old_attributes() -> None:
    error = ClientError("Network", "down")

    assert (error.error_type, error.message, str(error)) == ("Network", "down", "Network: down")
    assert issubclass(ClientError, RuntimeError)
    assert issubclass(InvalidIdError, ValueError)


def test_errors_survive_pickling() -> None:
    error = RequestFailedError("Request failed with status: 404 Not Found")
    error.status = 404

    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), str(copy), copy.status) == (RequestFailedError, str(error), 404)


def test_token_files_lie_in_the_folder_of_merobox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    folder = get_token_cache_dir()

    assert folder == str(tmp_path / ".merobox" / "auth_cache")
    assert get_token_cache_path("calimero-node-1") == f"{folder}/calimero-node-1-76103d3f65af.json"
    for name in ("", "https://a.example/x?y", "\U0001f600", "x" * 400, "../../../etc/passwd"):
        path = get_token_cache_path(name)
        assert path == get_token_cache_path(name)
        assert path.startswith(folder + "/")
        assert path.endswith(".json")
        assert Path(path).parent == Path(folder)
        assert len(Path(path).name) < 100


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("application ID", lambda c, bad: c.get_application(bad)),
        ("context ID", lambda c, bad: c.get_context(bad)),
        ("blob ID", lambda c, bad: c.download_blob(bad)),
        ("inviter ID", lambda c, bad: c.invite_to_context(ID, bad, ID)),
        ("invitee ID", lambda c, bad: c.invite_to_context(ID, ID, bad)),
        ("executor public key", lambda c, bad: c.execute_function(ID, "m", "{}", bad)),
        ("new member public key", lambda c, bad: c.join_context_by_open_invitation("{}", bad)),
        ("public key", lambda c, bad: c.create_context_identity_alias(ID, "a", bad)),
        ("proposal ID", lambda c, bad: c.get_proposal(ID, bad)),
    ],
)
@pytest.mark.parametrize("bad", ["", "0OIl", ID[:-2], ID * 2, "é"])
def test_what_is_no_id_is_refused_by_its_kind_before_anything_is_sent(
    kind: str, call: Callable[[Client, str], object], bad: str, client: Client
) -> None:
    with pytest.raises(InvalidIdError) as caught:
        call(client, bad)

    assert str(caught.value).startswith(f"Invalid {kind} '{bad}': ")


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (RuntimeError, "Invalid JSON args", lambda c: c.execute_function(ID, "m", "{", ID)),
        (RuntimeError, "Invalid JSON", lambda c: c.grant_permissions(ID, "[")),
        (RuntimeError, "Invalid alias", lambda c: c.create_context_alias("x" * 51, ID)),
        (RuntimeError, "Invalid alias", lambda c: c.lookup_context_alias("ä" * 26)),
        (RuntimeError, "Invalid URL", lambda c: c.install_application("nonsense")),
        (RuntimeError, "Invalid hash", lambda c: c.install_application("http://a/x", "ff")),
        (RuntimeError, "Failed to parse invitation payload", lambda c: c.join_context(ID, ID, "0OIl")),
        (RuntimeError, "Invalid invitation JSON", lambda c: c.join_context_by_open_invitation("{", ID)),
        (RuntimeError, "Failed to parse SignedOpenInvitation", lambda c: c.join_context_by_open_invitation("{}", ID)),
        (RuntimeError, "Failed to parse SignedOpenInvitation", lambda c: c.join_context_by_open_invitation("null", ID)),
        (TypeError, "data", lambda c: c.upload_blob(bytearray(b"x"))),
        (TypeError, "metadata", lambda c: c.install_dev_application("/x", "text")),
        (TypeError, "args", lambda c: c.execute_function(ID, "m", {}, ID)),
        (OverflowError, "valid_for_blocks", lambda c: c.invite_to_context_by_open_invitation(ID, ID, -1)),
        (OverflowError, "valid_for_blocks", lambda c: c.invite_to_context_by_open_invitation(ID, ID, 2**64)),
    ],
)
def test_other_arguments_fail_with_the_class_and_text_of_the_contract(
    error: type[Exception], text: str, call: Callable[[Client], object], client: Client
) -> None:
    with pytest.raises(error, match=text):
        call(client)
