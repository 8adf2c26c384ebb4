"""The coordinator's TLS certificate: from files supplied, or from a small certificate authority made here.

An organisation with its own certificate authority supplies key and chain as files. For a pilot or a small federation
``make_authority`` and ``issue_certificate`` are enough: the authority's certificate is the ``ca_file`` councils
install, and its key stays offline once the server's certificate is made.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from federated.errors import FileProblem

__all__ = [
    "Authority",
    "ServerCertificate",
    "issue_certificate",
    "load_authority",
    "load_certificate",
    "make_authority",
    "save_pair",
    "server_credentials",
]

_AUTHORITY_LIFE: Final = timedelta(days=3650)
_SERVER_LIFE: Final = timedelta(days=397)
_CLOCK_LEEWAY: Final = timedelta(hours=1)
"""A council's clock may be behind ours; a certificate made now is valid from a little earlier."""

_COMMON_NAME_MAX: Final = 64
"""Bytes the field may have; what a certificate is for stands in its alternative names."""

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_NO_USAGE: Final = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}
_NO_CERTIFICATE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises of a certificate, some of it only when a part is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority for one federation.

    Attributes:
        key_pem: Private key, PKCS #8; kept offline between uses.
        certificate_pem: What councils install as their ``ca_file``.
    """

    key_pem: bytes = field(repr=False)
    certificate_pem: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertificate:
    """What the coordinator shows when a node connects.

    Attributes:
        key_pem: Private key, PKCS #8.
        chain_pem: The server's certificate, then any intermediate ones.
        names: The host names and addresses it is for, lower case.
        not_after: When it ends.
    """

    key_pem: bytes = field(repr=False)
    chain_pem: bytes
    names: frozenset[str]
    not_after: datetime


def make_authority(common_name: str, *, now: datetime) -> Authority:
    """Make a certificate authority; run once, by whoever operates the coordinator.

    Args:
        common_name: Shown to whoever inspects the certificate, for example the federation's name.
        now: Start of its ten years.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name)
    builder = (
        _builder(name, name, key.public_key(), now, _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**{**_NO_USAGE, "key_cert_sign": True, "crl_sign": True}), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    return Authority(key_pem=_key_pem(key), certificate_pem=certificate.public_bytes(Encoding.PEM))


def issue_certificate(authority: Authority, names: Sequence[str], *, now: datetime) -> ServerCertificate:
    """Make a server key and its certificate.

    Args:
        authority: Made or loaded before.
        names: Host names and IP addresses by which nodes will reach the coordinator; at least one.
        now: Start of its 397 days.

    Raises:
        FileProblem: No name was given, or one is not a host name, or the authority's key cannot be used.
    """
    if not names:
        raise FileProblem("A server certificate was asked for without a name.", remedy="Give the host name nodes use.")
    signer = _load_key(authority.key_pem, "the authority's key")
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(names[0]), issuer.subject, key.public_key(), now, _SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{**_NO_USAGE, "digital_signature": True}), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    certificate = builder.sign(signer, hashes.SHA256())
    return _server_certificate(_key_pem(key), certificate.public_bytes(Encoding.PEM), certificate)


def load_certificate(key_file: Path, chain_file: Path, *, now: datetime) -> ServerCertificate:
    """Read the files a coordinator was given.

    Raises:
        FileProblem: A file is missing or is not PEM, the key is not the certificate's, the certificate has ended or
            names no host.
    """
    key_pem, chain_pem = _read(key_file), _read(chain_file)
    key = _load_key(key_pem, str(key_file))
    certificate = _first_certificate(chain_pem, chain_file)
    try:
        own = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        made = _server_certificate(key_pem, chain_pem, certificate)
    except _NO_CERTIFICATE as problem:
        raise _no_certificate(chain_file) from problem
    if _public_pem(key) != own:
        raise FileProblem(
            f"{key_file} is not the key of the certificate in {chain_file}.", remedy="Supply a matching pair."
        )
    if certificate.not_valid_after_utc <= now:
        ended = certificate.not_valid_after_utc.date().isoformat()
        raise FileProblem(f"The certificate in {chain_file} ended on {ended}.", remedy="Supply a renewed certificate.")
    if not made.names:
        raise FileProblem(
            f"The certificate in {chain_file} names no host (it has no subject alternative name).",
            remedy="Have it issued for the host name nodes connect to.",
        )
    return made


def load_authority(key_file: Path, certificate_file: Path) -> Authority:
    """Read an authority saved by :func:`save_pair`.

    Raises:
        FileProblem: A file is missing or is not PEM.
    """
    key_pem, certificate_pem = _read(key_file), _read(certificate_file)
    _load_key(key_pem, str(key_file))
    _first_certificate(certificate_pem, certificate_file)
    return Authority(key_pem=key_pem, certificate_pem=certificate_pem)


def save_pair(key_pem: bytes, certificate_pem: bytes, *, key_file: Path, certificate_file: Path) -> None:
    """Write a key, readable by its owner alone, and its certificate.

    Raises:
        FileProblem: One of the files exists, or cannot be written.
    """
    for path, content, mode in ((key_file, key_pem, 0o600), (certificate_file, certificate_pem, 0o644)):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError as problem:
            raise FileProblem(
                f"{path} exists already.", remedy="Move it away first; a key is never overwritten."
            ) from problem
        except OSError as problem:
            raise FileProblem(f"{path} cannot be written: {problem.strerror}.") from problem
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def server_credentials(certificate: ServerCertificate) -> grpc.ServerCredentials:
    """TLS for a gRPC server; nodes prove themselves inside the link, not by a client certificate."""
    return grpc.ssl_server_credentials([(certificate.key_pem, certificate.chain_pem)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_LEEWAY)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    shortened = common_name.encode()[:_COMMON_NAME_MAX].decode(errors="ignore")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, shortened or "unnamed")])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name.encode("idna").decode("ascii"))
    except UnicodeError as problem:
        raise FileProblem(f"{name!r} is neither a host name nor an IP address.") from problem


def _server_certificate(key_pem: bytes, chain_pem: bytes, certificate: x509.Certificate) -> ServerCertificate:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        found: set[str] = set()
    else:
        found = {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
    return ServerCertificate(
        key_pem=key_pem,
        chain_pem=chain_pem,
        names=frozenset(name.lower() for name in found),
        not_after=certificate.not_valid_after_utc,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _load_key(content: bytes, where: str) -> _Key:
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise FileProblem(f"{where} is not an unencrypted private key in PEM form.") from problem
    if not isinstance(key, _Key):
        raise FileProblem(f"{where} is neither an elliptic-curve nor an RSA key.")
    return key


def _public_pem(key: _Key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _first_certificate(content: bytes, where: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(content)[0]
    except _NO_CERTIFICATE as problem:
        raise _no_certificate(where) from problem


def _no_certificate(where: Path) -> FileProblem:
    return FileProblem(f"{where} holds no certificate in PEM form.", remedy="Supply the certificate chain.")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise FileProblem(
            f"{path} cannot be read: {problem.strerror}.", remedy="Check the path and its permissions."
        ) from problem
