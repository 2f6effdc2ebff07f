"""The seed of an account, and the tree of keys that grows from it (`design.md` §4).

| path | key |
|---|---|
| `m/44'/397'/0'` | account key, generation 0: the path of NEAR wallets |
| `m/44'/397'/2'/g'` | account key, generation g > 0 |
| `m/44'/397'/1'/device'/slot'/generation'` | client key |
| `m/44'/397'/3'` | no key pair: the secret from which the keys of backups and salts are expanded |
| `m/44'/397'/4'/account'/number'` | cosigning key: signs for another account, as one of its keys or of its recovery set |
"""

import secrets
from typing import Final, Self

from meroid.account.client_keys import ClientKeyPath, ClientKeys, DeviceKeys
from meroid.account.phrase import ENTROPY_BYTES, entropy_of, phrase_of, stretch
from meroid.ids import AccountId
from meroid.keys.canonical import tagged_hash
from meroid.keys.derivation import INDEX_END, BadKeyPathError, ExtendedKey
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner

_ACCOUNT_NODE: Final = (44, 397)
_FIRST_ACCOUNT_KEY, _DEVICES, _LATER_ACCOUNT_KEYS, _BACKUP, _COSIGNING = 0, 1, 2, 3, 4
_ACCOUNT_TAG: Final = "meroid/cosigned-account/v1"


class Seed:
    """BIP-39 entropy: 32 bytes (24 words), or 16 (12 words) from a NEAR wallet.

    The words are stretched once, on first use, and the nodes above accounts and devices are kept.
    """

    __slots__ = ("_account_node", "_devices", "_entropy")

    def __init__(self, entropy: Secret) -> None:
        if len(entropy) not in ENTROPY_BYTES.values():
            raise ValueError("a seed has 32 bytes of entropy, or 16")
        self._entropy = entropy
        self._account_node: ExtendedKey | None = None
        self._devices: dict[int, DeviceKeys] = {}

    @classmethod
    def generate(cls) -> Self:
        """A random seed of 24 words."""
        return cls(Secret(secrets.token_bytes(ENTROPY_BYTES[24])))

    @classmethod
    def from_words(cls, text: str) -> Self:
        """The seed of a phrase of 24 or 12 English words.

        Raises:
            BadPhraseFormError, BadPhraseLengthError, BadPhraseWordError, BadPhraseChecksumError:
                as `phrase.entropy_of` says; none of them names a word.
        """
        return cls(entropy_of(text))

    @property
    def entropy(self) -> Secret:
        """A copy of the entropy, 32 or 16 bytes."""
        return Secret(self._entropy.reveal())

    def words(self) -> Secret:
        """The phrase, ASCII with single spaces."""
        return phrase_of(self._entropy)

    def account_key(self, generation: int = 0) -> SoftwareSigner:
        """Derive an account key.

        Raises:
            BadKeyPathError: the generation is out of range.
        """
        if not 0 <= generation < INDEX_END:
            raise BadKeyPathError("the generation is outside of the derivation tree")
        path = (_LATER_ACCOUNT_KEYS, generation) if generation else (_FIRST_ACCOUNT_KEY,)
        return SoftwareSigner(self._root().derive(path).secret)

    def cosigning_key(self, account_id: AccountId, number: int = 0) -> SoftwareSigner:
        """The key with which this seed signs for another account; `number` counts the keys that it takes over.

        The step `account'` is the first 31 bits of a hash of the other account's id.

        Raises:
            BadKeyPathError: the number is out of range.
        """
        step = int.from_bytes(tagged_hash(_ACCOUNT_TAG, account_id)[:4], "big") % INDEX_END
        if not 0 <= number < INDEX_END:
            raise BadKeyPathError("the number is outside of the derivation tree")
        return SoftwareSigner(self._root().derive((_COSIGNING, step, number)).secret)

    def device(self, number: int) -> DeviceKeys:
        """The subtree of one device, kept after the first time.

        Raises:
            BadKeyPathError: the number is out of range.
        """
        keys = self._devices.get(number)
        if keys is None:
            keys = self._devices[number] = DeviceKeys(number, self._root().derive((_DEVICES, number)))
        return keys

    def backup_secret(self) -> Secret:
        """32 bytes to `expand` keys and salts from that the words alone must give back; signs nothing."""
        return self._root().derive((_BACKUP,)).secret

    def client_keys(self, path: ClientKeyPath) -> ClientKeys:
        """Derive the keys of a path."""
        return self.device(path.device).client_keys(slot=path.slot, generation=path.generation)

    def next_keys_commitment(self, path: ClientKeyPath) -> bytes:
        """What the keys of a path commit to (`semantics.md` rule 11); 32 bytes."""
        return self.device(path.device).next_keys_commitment(slot=path.slot, generation=path.generation)

    def wipe(self) -> None:
        """Overwrite the entropy and every node that was kept; the seed is of no use afterwards."""
        self._entropy.wipe()
        if self._account_node is not None:
            self._account_node.wipe()
        for keys in self._devices.values():
            keys.wipe()

    def _root(self) -> ExtendedKey:
        """The node `m/44'/397'`. Two threads may both make it the first time; they make the same."""
        if self._account_node is None:
            self._account_node = ExtendedKey.master(stretch(self.words())).derive(_ACCOUNT_NODE)
        return self._account_node

    def __repr__(self) -> str:
        return "Seed(hidden)"
