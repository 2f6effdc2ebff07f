"""A certificate authority of a test, which makes server certificates."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Authority:
    """It signs what it is asked for; nobody trusts it who isn't told to."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=_new_key)

    @property
    def root(self) -> x509.Certificate:
        """Its own certificate."""
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name("authority"))
            .issuer_name(_name("authority"))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def write_root(self, path: Path) -> Path:
        """Its own certificate in a file, for clients that trust it."""
        path.write_bytes(self.root.public_bytes(Encoding.PEM))
        return path

    def write(self, cert: Path, key: Path, name: str, *, days: int = 90, password: bytes | None = None) -> None:
        """A certificate for a name, and for 127.0.0.1, that ends in so many days; and its key."""
        now, own = datetime.now(UTC), _new_key()
        names = [x509.DNSName(name), x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        made = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("authority"))
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=20))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        cert.write_bytes(made.public_bytes(Encoding.PEM))
        locked = BestAvailableEncryption(password) if password else NoEncryption()
        key.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
        key.chmod(0o600)
