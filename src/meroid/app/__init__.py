"""The composition root: the only place that knows every class."""

from meroid.app.auth import AuthServices, token_signing_keys
from meroid.app.node import Node, initialise_node
from meroid.app.running import RunningNode, run_node
from meroid.app.standalone import AuthService, Beginning, initialise_auth, run_auth
from meroid.app.vaulted import Vaulted, open_vaulted

__all__ = [
    "AuthService",
    "AuthServices",
    "Beginning",
    "Node",
    "RunningNode",
    "Vaulted",
    "initialise_auth",
    "initialise_node",
    "open_vaulted",
    "run_auth",
    "run_node",
    "token_signing_keys",
]
