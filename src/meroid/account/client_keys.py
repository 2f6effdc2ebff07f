"""Client keys: where each stands in the derivation tree, and the subtree that one device holds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from meroid import limits
from meroid.keys.commitment import GENERATIONS, commit_to_all
from meroid.keys.derivation import INDEX_END, BadKeyPathError, ExtendedKey
from meroid.keys.public import PublicKey
from meroid.keys.sealing import SealingKey, expand
from meroid.keys.signer import Secret
from meroid.keys.software import SoftwareSigner

_SEALING_LABEL: Final = "meroid/client-sealing-key/v1"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ClientKeyPath:
    """Device, slot and generation of a client key: `m/44'/397'/1'/device'/slot'/generation'`.

    A slot belongs to one context for good; a rotation takes the next generation of the slot.

    Raises:
        BadKeyPathError: a number is out of range; there are 64 generations.
    """

    device: int
    slot: int
    generation: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.device < INDEX_END or not 0 <= self.slot < INDEX_END:
            raise BadKeyPathError("the device or slot is outside of the derivation tree")
        if not 0 <= self.generation < GENERATIONS:
            raise BadKeyPathError(
                f"a slot has generations 0 to {GENERATIONS - 1}",
                next_step="take a new slot, and have its key invited or linked",
            )

    def __str__(self) -> str:
        return f"m/44'/397'/1'/{self.device}'/{self.slot}'/{self.generation}'"


class ClientKeys:
    """The signing key and the sealing key of one path; it is the `Signer` of its signing key."""

    __slots__ = ("_path", "_sealing", "_secret", "_signer")

    def __init__(self, path: ClientKeyPath, secret: Secret) -> None:
        self._path = path
        self._secret = secret
        self._signer = SoftwareSigner(secret)
        self._sealing: SealingKey | None = None

    @property
    def path(self) -> ClientKeyPath:
        """Where the keys stand in the tree."""
        return self._path

    @property
    def public_key(self) -> PublicKey:
        """The client key, as the outside knows it."""
        return self._signer.public_key

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        return self._signer.sign(message)

    @property
    def sealing(self) -> SealingKey:
        """The X25519 key beside it, made when it is first asked for."""
        if self._sealing is None:
            self._sealing = SealingKey(Secret(expand(self._secret.reveal(), _SEALING_LABEL)))
        return self._sealing

    def __repr__(self) -> str:
        return f"ClientKeys({self.public_key})"


class DeviceKeys:
    """All client keys of one device: the subtree `m/44'/397'/1'/device'`, and nothing above it.

    Derives anew each time and keeps nothing, so its memory doesn't grow with the number of slots.
    """

    __slots__ = ("_device", "_node")

    def __init__(self, device: int, node: ExtendedKey) -> None:
        self._device = device
        self._node = node

    @property
    def device(self) -> int:
        """The number that the account's key log claims for this device."""
        return self._device

    def client_keys(self, *, slot: int, generation: int = 0) -> ClientKeys:
        """Derive the keys of a slot.

        Raises:
            BadKeyPathError: slot or generation is out of range.
        """
        return self._derive(self._node.child(slot), slot, generation)

    def used_slots(
        self, is_used: Callable[[PublicKey], bool], *, gap: int = limits.UNBOUND_IDENTITIES.value + 1
    ) -> Iterator[ClientKeys]:
        """Find the slots that were used before a restore, one by one, and keep none of them.

        Gives the keys of the latest generation that was used. Ends behind `gap` unused slots in a row:
        a device never has more unbound ones, so no used slot lies further on.

        Args:
            is_used: whether a client key is, or ever was, a member of some context.
            gap: unused slots in a row that mean the end.
        """
        slot = unused = 0
        while unused < gap and slot < INDEX_END:
            latest = self._latest_used(slot, is_used)
            unused = 0 if latest is not None else unused + 1
            if latest is not None:
                yield latest
            slot += 1

    def _latest_used(self, slot: int, is_used: Callable[[PublicKey], bool]) -> ClientKeys | None:
        node = self._node.child(slot)
        latest = None
        for generation in range(GENERATIONS):
            keys = self._derive(node, slot, generation)
            if not is_used(keys.public_key):
                break
            latest = keys
        return latest

    def next_keys_commitment(self, *, slot: int, generation: int = 0) -> bytes:
        """What the keys of this generation commit to: all later ones of the slot; 32 bytes.

        Derives every later generation, 63 of them from the first one.

        Raises:
            BadKeyPathError: slot or generation is out of range.
        """
        path = ClientKeyPath(device=self._device, slot=slot, generation=generation)
        node = self._node.child(path.slot)
        later = (self._derive(node, path.slot, number) for number in range(GENERATIONS - 1, path.generation, -1))
        return commit_to_all((keys.public_key, keys.sealing.public) for keys in later)

    def _derive(self, slot_node: ExtendedKey, slot: int, generation: int) -> ClientKeys:
        path = ClientKeyPath(device=self._device, slot=slot, generation=generation)
        return ClientKeys(path, slot_node.child(generation).secret)

    def wipe(self) -> None:
        """Overwrite the subtree's root; keys that were handed out stay."""
        self._node.wipe()

    def __repr__(self) -> str:
        return f"DeviceKeys(device {self._device})"
