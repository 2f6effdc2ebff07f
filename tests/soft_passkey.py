"""A software authenticator and the browser around it, for tests: ES256 or Ed25519, `none` or `packed` attestation."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40
_ALGORITHMS = {"ES256": -7, "EdDSA": -8}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


@dataclass
class SoftPasskey:
    """One credential; its fields say how it behaves."""

    algorithm: str = "ES256"
    attestation: str = "none"
    count: int = 0
    verifies_user: bool = True
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def __post_init__(self) -> None:
        self._key: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if self.algorithm == "ES256"
            else ed25519.Ed25519PrivateKey.generate()
        )

    def create(self, options: Any, origin: str) -> dict[str, Any]:
        """What `navigator.credentials.create` gives for the page of an origin."""
        client_data = _client_data("webauthn.create", options["challenge"], origin)
        key = self._cose()
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + key
        data = self._data(options["rp"]["id"], _ATTESTED) + attested
        statement: dict[str, Any] = {}
        if self.attestation == "packed":
            statement = {"alg": _ALGORITHMS[self.algorithm], "sig": self._sign(data, client_data)}
        attestation = cbor2.dumps({"fmt": self.attestation, "attStmt": statement, "authData": data})
        return self._credential({"clientDataJSON": b64(client_data), "attestationObject": b64(attestation)})

    def get(self, options: Any, origin: str) -> dict[str, Any]:
        """What `navigator.credentials.get` gives; the counter goes on unless it stays at zero."""
        client_data = _client_data("webauthn.get", options["challenge"], origin)
        if self.count:
            self.count += 1
        data = self._data(options["rpId"], 0)
        parts = {"clientDataJSON": client_data, "authenticatorData": data, "signature": self._sign(data, client_data)}
        return self._credential({name: b64(value) for name, value in parts.items()})

    def _credential(self, response: dict[str, str]) -> dict[str, Any]:
        name = b64(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}

    def _data(self, host: str, flags: int) -> bytes:
        flags |= _PRESENT | (_VERIFIED if self.verifies_user else 0)
        return hashlib.sha256(host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _sign(self, data: bytes, client_data: bytes) -> bytes:
        message = data + hashlib.sha256(client_data).digest()
        if self.algorithm == "ES256":
            return bytes(self._key.sign(message, ec.ECDSA(hashes.SHA256())))
        return bytes(self._key.sign(message))

    def _cose(self) -> bytes:
        public = self._key.public_key()
        if self.algorithm == "ES256":
            numbers = public.public_numbers()
            return cbor2.dumps(
                {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
            )
        return cbor2.dumps({1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()})


def _client_data(kind: str, challenge: str, origin: str) -> bytes:
    return json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()
