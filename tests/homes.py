"""Homes of nodes on disk, made without a process, and everything that lies sealed in them."""

import base64
from pathlib import Path

from meroid.app import initialise_node, open_vaulted
from meroid.clock import SystemClock
from meroid.config import Settings, load_settings, write_config
from meroid.keys.signer import Ask, Secret
from meroid.service.keyring import KeyRing
from meroid.service.ports.sealer import signing_key_label
from meroid.vault.store_keys import open_secret_store


class HomeOfNode:
    """The home of a node `n` in a folder, with more accounts than its own.

    Args:
        folder: where nodes live.
        key_store: URI of the store key.
        ask: asks for PINs.
    """

    def __init__(self, folder: Path, key_store: str = "file:", ask: Ask | None = None) -> None:
        self.folder = folder
        self.directory = folder / "n"
        self.directory.mkdir(mode=0o700, parents=True)
        listen = (("127.0.0.1", 1),)
        made = Settings(
            home=self.directory, name="n", auth_mode="proxy", listen=listen, swarm=listen, key_store=key_store
        )
        node = initialise_node(made, ask)
        at = SystemClock().now_ms()
        for _ in range(2):
            node.keys.create_account(owner=False, at=at)
        node.close()
        write_config(made)

    @property
    def settings(self) -> Settings:
        """As `config.toml` says now."""
        return load_settings(self.folder, "n")

    @property
    def database(self) -> Path:
        """The database's file."""
        return self.settings.database

    @property
    def arguments(self) -> list[str]:
        """What stands before a command of `merod`."""
        return ["--home", str(self.folder), "--node-name", "n"]

    def key(self, uri: str | None = None) -> bytes | None:
        """The store key at a key store, that of the configuration if none is named."""
        found = open_secret_store(uri or self.settings.key_store, self.directory).load()
        return None if found is None else found.reveal()

    def opened(self, ask: Ask | None = None) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Every seed and every signing key, as the node's next start finds them; whatever was interrupted is finished."""
        vaulted = open_vaulted(self.settings, make=False, ask=ask)
        try:
            accounts = vaulted.store.read(lambda tx: tx.accounts.list())
            ring = KeyRing(vaulted.store, vaulted.seeds)
            words = {str(each.account_id): ring.words(each.account_id).reveal() for each in accounts}
            keys = vaulted.store.read(lambda tx: tx.auth.signing_keys())
            opened = {each.kid: vaulted.box.open(signing_key_label(each.kid), each.sealed_secret) for each in keys}
        finally:
            vaulted.store.close()
        assert len(words) == 3
        assert len(opened) == 1
        return words, {kid: secret.reveal() for kid, secret in opened.items()}

    def names(self) -> set[str]:
        """Every file of the home, relative to it."""
        return {str(each.relative_to(self.directory)) for each in self.directory.rglob("*") if each.is_file()}

    def holders(self, key: bytes) -> set[str]:
        """Files that hold a store key in any form."""
        forms = (key, base64.urlsafe_b64encode(key), key.hex().encode())
        return {name for name in self.names() if any(form in (self.directory / name).read_bytes() for form in forms)}


def no_pin(_what: str) -> Secret:
    """Nobody should be asked."""
    raise AssertionError("somebody was asked for a PIN")
