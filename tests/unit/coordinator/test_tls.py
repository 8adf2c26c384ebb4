"""The coordinator's certificate: made here, or read from files, with plain words when it cannot be used."""

import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from coordinator.tls import (
    Authority,
    issue_certificate,
    load_authority,
    load_certificate,
    make_authority,
    save_pair,
)
from federated.errors import FileProblem

NOW = datetime(2030, 1, 1, tzinfo=UTC)
AUTHORITY = make_authority("Federation", now=NOW)
MADE = issue_certificate(AUTHORITY, ["Coordinator.example", "127.0.0.1", "::1"], now=NOW)


def certificate(content: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(content)


def test_the_authority_may_sign_certificates_and_the_server_may_not() -> None:
    root, leaf = certificate(AUTHORITY.certificate_pem), certificate(MADE.chain_pem)
    leaf.verify_directly_issued_by(root)
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 0)
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_the_certificate_is_for_the_names_given_and_ends() -> None:
    assert MADE.names == {"coordinator.example", "127.0.0.1", "::1"}
    assert MADE.not_after == NOW + timedelta(days=397)
    assert certificate(MADE.chain_pem).not_valid_before_utc == NOW - timedelta(hours=1)


def test_keys_are_in_no_repr() -> None:
    assert "PRIVATE KEY" not in repr(AUTHORITY) + repr(MADE)


def test_what_is_saved_is_loaded_and_the_key_is_private(tmp_path) -> None:
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    save_pair(MADE.key_pem, MADE.chain_pem, key_file=key, certificate_file=chain)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert load_certificate(key, chain, now=NOW) == MADE
    with pytest.raises(FileProblem, match=r"key\.pem exists already"):
        save_pair(MADE.key_pem, MADE.chain_pem, key_file=key, certificate_file=chain)


def test_a_saved_authority_issues_again(tmp_path) -> None:
    key, chain = tmp_path / "ca-key.pem", tmp_path / "ca.pem"
    save_pair(AUTHORITY.key_pem, AUTHORITY.certificate_pem, key_file=key, certificate_file=chain)
    made = issue_certificate(load_authority(key, chain), ["host"], now=NOW)
    certificate(made.chain_pem).verify_directly_issued_by(certificate(AUTHORITY.certificate_pem))


@pytest.mark.parametrize(
    ("key_pem", "chain_pem", "now", "sentence"),
    [
        (None, MADE.chain_pem, NOW, r"key\.pem cannot be read"),
        (MADE.key_pem, None, NOW, r"chain\.pem cannot be read"),
        (b"no key", MADE.chain_pem, NOW, r"key\.pem is not an unencrypted private key"),
        (MADE.key_pem, b"no certificate", NOW, r"chain\.pem holds no certificate"),
        (AUTHORITY.key_pem, MADE.chain_pem, NOW, r"is not the key of the certificate"),
        (MADE.key_pem, MADE.chain_pem, NOW + timedelta(days=397), r"ended on 2031-02-02"),
        (AUTHORITY.key_pem, AUTHORITY.certificate_pem, NOW, r"names no host"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path, key_pem, chain_pem, now, sentence) -> None:
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    for path, content in ((key, key_pem), (chain, chain_pem)):
        if content is not None:
            path.write_bytes(content)
    with pytest.raises(FileProblem, match=sentence):
        load_certificate(key, chain, now=now)


def _pem(key: object) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_an_rsa_key_of_ones_own_is_accepted_and_an_odd_key_refused(tmp_path) -> None:
    key = tmp_path / "key.pem"
    chain = tmp_path / "chain.pem"
    chain.write_bytes(MADE.chain_pem)
    key.write_bytes(_pem(rsa.generate_private_key(65537, 2048)))
    with pytest.raises(FileProblem, match="is not the key of"):
        load_certificate(key, chain, now=NOW)
    key.write_bytes(_pem(ed25519.Ed25519PrivateKey.generate()))
    with pytest.raises(FileProblem, match="neither an elliptic-curve nor an RSA key"):
        load_certificate(key, chain, now=NOW)


@pytest.mark.parametrize("names", [[], ["bücher" * 20 + ".example"], ["a..b"]])
def test_a_certificate_needs_proper_names(names) -> None:
    with pytest.raises(FileProblem):
        issue_certificate(AUTHORITY, names, now=NOW)


def test_an_authority_needs_its_key() -> None:
    broken = Authority(key_pem=b"x", certificate_pem=AUTHORITY.certificate_pem)
    with pytest.raises(FileProblem, match="the authority's key"):
        issue_certificate(broken, ["host"], now=NOW)
