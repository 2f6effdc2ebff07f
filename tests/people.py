"""Another person on a served node, with everything that a non-owner gets."""

from tests.served_node import PASSWORD, ServedNode

from meroid.auth.password import Argon2Cost, hash_password
from meroid.ids import AccountId
from meroid.service.newcomers import NOT_AN_OWNERS
from meroid.service.ports.auth import RootKeyRecord


def another_account(node: ServedNode, name: str = "bob") -> str:
    """Make an account beside the owner's and log in with it; the access token."""
    account: AccountId = node.node.keys.create_account(owner=False, at=1).account_id
    verifier = hash_password(PASSWORD, Argon2Cost(passes=1, memory_kib=64, lanes=1))
    record = RootKeyRecord(
        key_id=name, account_id=account, method="user_password", identifier=name, verifier=verifier,
        permissions=NOT_AN_OWNERS, created_at=1,
    )  # fmt: skip
    node.node.store.write(lambda tx: tx.auth.add_root_key(record))
    proof = {"username": name, "password": PASSWORD}
    body = {
        "auth_method": "user_password",
        "public_key": name,
        "client_name": "x",
        "timestamp": 1,
        "provider_data": proof,
    }
    got = node.server.ask("POST", "/auth/token", body)
    assert got.status == 200, got.text
    return str(got.json["data"]["access_token"])
