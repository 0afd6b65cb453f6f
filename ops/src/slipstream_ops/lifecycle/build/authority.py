"""The local certificate authority: made once for this user on this machine, it signs the certificates of local stacks."""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import write_file
from slipstream_ops.layers.contract import File

AUTHORITY_DAYS = 3650
LEAF_DAYS = 397
"""Browsers refuse leaves that live longer (CA/Browser Forum ballot SC-31)."""
RENEW_DAYS = 30


def authority_folder() -> Path:
    """``$XDG_DATA_HOME/slipstream`` or ``~/.local/share/slipstream``."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "slipstream"


def keep_authority(folder: Path) -> Path:
    """Path of the authority's certificate, which is made together with its key when missing."""
    certificate, key = folder / "authority.pem", folder / "authority.key"
    if certificate.exists() and key.exists():
        return certificate
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"slipstream local authority ({os.uname().nodename})")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_file(File(key, _pem_of(private), is_secret=True))
    write_file(File(certificate, built.public_bytes(serialization.Encoding.PEM).decode()))
    return certificate


def certificate_for(names: Sequence[str], folder: Path, current: Path) -> str:
    """PEM text (leaf, authority, key) for ``names`` and loopback; ``current`` is kept while it fits for 30 days more."""
    authority_path = keep_authority(folder)
    try:
        authority = x509.load_pem_x509_certificate(authority_path.read_bytes())
        signer = serialization.load_pem_private_key((folder / "authority.key").read_bytes(), None)
    except (OSError, ValueError) as error:
        raise Complaint(
            f"reading the local certificate authority in {folder}",
            str(error),
            "Remove that folder; a new authority is made at the next start",
        ) from None
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    wanted = list(dict.fromkeys([*names, "localhost"]))
    if current.exists() and _still_fits(current, wanted, authority):
        return current.read_text()
    private = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in wanted]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted[0][:64])]))
        .issuer_name(authority.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=LEAF_DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return leaf.public_bytes(pem).decode() + authority.public_bytes(pem).decode() + _pem_of(private)


def _still_fits(current: Path, names: Sequence[str], authority: x509.Certificate) -> bool:
    try:
        leaf = x509.load_pem_x509_certificate(current.read_bytes())
        leaf.verify_directly_issued_by(authority)
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except Exception:  # whatever is wrong with the old one, a new one is made
        return False
    left = leaf.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return list(found) == list(names) and left > datetime.timedelta(days=RENEW_DAYS)


def _pem_of(private: ec.EllipticCurvePrivateKey) -> str:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
