"""Envelopes, statements and key files: everything a signature is worth rests on these refusals."""

import base64
import json
import random
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from federated.errors import FileProblem, InternalError, SignatureProblem
from federated.keys import (
    FIELD,
    SMALL_ORDER,
    fingerprint,
    keyid,
    make_key,
    parse_public,
    public_line,
    read_private_key,
    read_public_key,
    trusted_keys,
    write_private_key,
    write_public_key,
)
from federated.signing import (
    SIGNATURES_LIMIT,
    add_signature,
    join_signatures,
    open_envelope,
    open_statement,
    sign_payload,
    sign_statement,
    statement_type,
    unsafe_payload,
)

TYPE = "application/vnd.federated.roster+yaml"
PAYLOAD = b"roster: 1\n"


def key(number):
    return make_key(random.Random(number).randbytes)


ANN, BOB, EVE = key(1), key(2), key(3)
TRUSTED = trusted_keys(ANN.public, BOB.public)


def altered(envelope, change):
    document = json.loads(envelope)
    change(document)
    return json.dumps(document).encode()


def test_what_is_signed_by_enough_trusted_people_opens():
    envelope = sign_payload(PAYLOAD, TYPE, [ANN, BOB])
    opened = open_envelope(envelope, TYPE, TRUSTED, 2)
    assert opened.payload == PAYLOAD
    assert opened.signers == tuple(sorted([ANN.keyid, BOB.keyid]))


def test_every_trusted_signer_is_named_beyond_the_threshold():
    assert len(open_envelope(sign_payload(PAYLOAD, TYPE, [ANN, BOB]), TYPE, TRUSTED, 1).signers) == 2


def test_a_signature_can_be_added_and_adding_it_twice_changes_nothing():
    alone = sign_payload(PAYLOAD, TYPE, [ANN])
    with pytest.raises(SignatureProblem, match="1 of the 2"):
        open_envelope(alone, TYPE, TRUSTED, 2)
    both = add_signature(alone, BOB)
    assert open_envelope(both, TYPE, TRUSTED, 2).payload == PAYLOAD
    assert add_signature(both, BOB) == both


def test_one_person_signing_twice_is_one_signature():
    envelope = add_signature(sign_payload(PAYLOAD, TYPE, [ANN, ANN]), ANN)
    with pytest.raises(SignatureProblem, match="1 of the 2"):
        open_envelope(envelope, TYPE, TRUSTED, 2)


def test_one_signature_written_twice_is_not_an_envelope():
    envelope = sign_payload(PAYLOAD, TYPE, [ANN])
    twice = altered(envelope, lambda d: d["signatures"].append(d["signatures"][0]))
    with pytest.raises(SignatureProblem, match="not a signed file"):
        open_envelope(twice, TYPE, TRUSTED, 2)


def test_one_key_trusted_under_two_names_is_our_own_fault():
    with pytest.raises(InternalError):
        open_envelope(sign_payload(PAYLOAD, TYPE, [ANN]), TYPE, {ANN.keyid: ANN.public, "0" * 64: ANN.public}, 1)


def test_a_threshold_of_nothing_is_our_own_fault():
    with pytest.raises(InternalError):
        open_envelope(sign_payload(PAYLOAD, TYPE, []), TYPE, TRUSTED, 0)


def test_strangers_do_not_count_and_do_no_harm():
    with pytest.raises(SignatureProblem, match="0 of the 1"):
        open_envelope(sign_payload(PAYLOAD, TYPE, [EVE]), TYPE, TRUSTED)
    assert open_envelope(sign_payload(PAYLOAD, TYPE, [EVE, ANN]), TYPE, TRUSTED).signers == (ANN.keyid,)
    broken = altered(
        sign_payload(PAYLOAD, TYPE, [ANN, EVE]),
        lambda d: [s.update(sig="AAAA") for s in d["signatures"] if s["keyid"] == EVE.keyid],
    )
    assert open_envelope(broken, TYPE, TRUSTED).signers == (ANN.keyid,)


def test_a_signature_in_another_persons_name_does_not_count():
    envelope = altered(sign_payload(PAYLOAD, TYPE, [EVE]), lambda d: d["signatures"][0].update(keyid=ANN.keyid))
    with pytest.raises(SignatureProblem, match="is wrong"):
        open_envelope(envelope, TYPE, TRUSTED)


def test_a_wrong_trusted_signature_refuses_although_another_holds():
    def damage(document):
        for signature in document["signatures"]:
            if signature["keyid"] == BOB.keyid:
                signature["sig"] = base64.b64encode(bytes(64)).decode()

    envelope = altered(sign_payload(PAYLOAD, TYPE, [ANN, BOB]), damage)
    with pytest.raises(SignatureProblem, match="is wrong"):
        open_envelope(envelope, TYPE, TRUSTED, 1)


def test_a_changed_payload_is_refused():
    changed = altered(
        sign_payload(PAYLOAD, TYPE, [ANN]), lambda d: d.update(payload=base64.b64encode(b"roster: 2\n").decode())
    )
    with pytest.raises(SignatureProblem, match="changed after it was signed"):
        open_envelope(changed, TYPE, TRUSTED)


def test_a_file_signed_for_one_purpose_is_not_used_for_another():
    envelope = sign_payload(PAYLOAD, TYPE, [ANN])
    with pytest.raises(SignatureProblem, match="was signed as"):
        open_envelope(envelope, "application/vnd.federated.agreement+yaml", TRUSTED)
    relabelled = altered(envelope, lambda d: d.update(payloadType="application/vnd.federated.agreement+yaml"))
    with pytest.raises(SignatureProblem, match="is wrong"):
        open_envelope(relabelled, "application/vnd.federated.agreement+yaml", TRUSTED)


def test_an_oversized_envelope_is_refused_before_it_is_read():
    envelope = sign_payload(PAYLOAD, TYPE, [ANN])
    assert open_envelope(envelope, TYPE, TRUSTED, limit=len(envelope)).payload == PAYLOAD
    with pytest.raises(SignatureProblem, match="at most"):
        open_envelope(envelope, TYPE, TRUSTED, limit=len(envelope) - 1)
    with pytest.raises(SignatureProblem, match="at most"):
        open_envelope(b"[" * 100, TYPE, TRUSTED, limit=99)


def test_too_many_signatures_are_neither_made_nor_read():
    envelope = sign_payload(PAYLOAD, TYPE, [key(number) for number in range(SIGNATURES_LIMIT)])
    with pytest.raises(SignatureProblem, match="most it may have"):
        add_signature(envelope, key(99))
    over = sign_payload(PAYLOAD, TYPE, [key(number) for number in range(SIGNATURES_LIMIT + 1)])
    with pytest.raises(SignatureProblem, match="not a signed file"):
        open_envelope(over, TYPE, TRUSTED)


def _without_type(document):
    del document["payloadType"]


MALFORMED = {
    "not JSON": b"-----BEGIN",
    "not UTF-8": b"\xff\xfe",
    "not an object": b"[]",
    "nested without end": b"[" * 100_000,
    "a name twice": b'{"payload":"","payload":"","payloadType":"x","signatures":[]}',
    "no type": altered(sign_payload(PAYLOAD, TYPE, [ANN]), _without_type),
    "an extra field": altered(sign_payload(PAYLOAD, TYPE, [ANN]), lambda d: d.update(extra=1)),
    "payload not text": altered(sign_payload(PAYLOAD, TYPE, [ANN]), lambda d: d.update(payload=1)),
    "payload not base64": altered(sign_payload(PAYLOAD, TYPE, [ANN]), lambda d: d.update(payload="*")),
    "payload half a surrogate": altered(sign_payload(PAYLOAD, TYPE, [ANN]), lambda d: d.update(payload="\ud800")),
    "signatures not a list": altered(sign_payload(PAYLOAD, TYPE, [ANN]), lambda d: d.update(signatures={})),
    "signature not an object": altered(sign_payload(PAYLOAD, TYPE, [ANN]), lambda d: d.update(signatures=["x"])),
    "signature not text": altered(sign_payload(PAYLOAD, TYPE, [ANN]), lambda d: d["signatures"][0].update(sig=["x"])),
    "signature with an extra field": altered(
        sign_payload(PAYLOAD, TYPE, [ANN]), lambda d: d["signatures"][0].update(note="x")
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_an_envelope_gets_one_plain_sentence(name):
    for reader in (lambda e: open_envelope(e, TYPE, TRUSTED), lambda e: unsafe_payload(e, TYPE)):
        with pytest.raises(SignatureProblem) as caught:
            reader(MALFORMED[name])
        assert str(caught.value).endswith(".")
        assert caught.value.remedy


def test_a_type_with_control_characters_is_shown_escaped():
    envelope = sign_payload(PAYLOAD, "\x1b[2Jgone", [ANN])
    with pytest.raises(SignatureProblem) as caught:
        open_envelope(envelope, TYPE, TRUSTED)
    assert "\x1b" not in str(caught.value)


def test_an_unsigned_look_keeps_to_the_type():
    envelope = sign_payload(PAYLOAD, TYPE, [])
    assert unsafe_payload(envelope, TYPE) == PAYLOAD
    with pytest.raises(SignatureProblem, match="is needed here"):
        unsafe_payload(envelope, "other")


BODY = {"version": 1, "council": "E06000001", "decision": "approved", "reason": "Größe – ok"}


def test_a_statement_comes_back_as_it_was_said():
    assert open_statement("decision", sign_statement("decision", BODY, ANN), TRUSTED) == BODY


def test_a_statement_of_one_kind_is_not_one_of_another():
    with pytest.raises(SignatureProblem, match="was signed as"):
        open_statement("receipt", sign_statement("decision", BODY, ANN), TRUSTED)


def test_a_statement_by_somebody_else_is_refused():
    with pytest.raises(SignatureProblem, match="0 of the 1"):
        open_statement("decision", sign_statement("decision", BODY, EVE), TRUSTED)


@pytest.mark.parametrize(
    "body", [{}, {"version": "1"}, {"version": True}, {"version": 1, "x": 0.5}, {"version": 1, 2: 3}]
)
def test_a_statement_without_version_or_with_a_float_is_never_signed(body):
    with pytest.raises(InternalError):
        sign_statement("decision", body, ANN)


@pytest.mark.parametrize("kind", ["", "Decision", "a b", "a+json", "x" * 41])
def test_a_kind_is_a_short_word(kind):
    with pytest.raises(InternalError):
        statement_type(kind)


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b"[1]",
        b'{"version": 1}',
        b'{"version":1,"version":1}',
        b'{"version":1,"x":0.5}',
        b'{"version":1,"x":NaN}',
        b'{"version":1,"x":"\\ud800"}',
        b'{"a":' * 980 + b"1" + b"}" * 980,
        b"{}",
        b'{"version":2}',
        b'{"version":true}',
    ],
)
def test_a_signed_statement_in_another_form_is_refused(payload):
    envelope = sign_payload(payload, statement_type("decision"), [ANN])
    with pytest.raises(SignatureProblem, match="signed decision"):
        open_statement("decision", envelope, TRUSTED)


def test_the_reader_may_ask_for_a_later_version():
    assert open_statement("decision", sign_statement("decision", {"version": 2}, ANN), TRUSTED, version=2)


def test_a_private_key_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "node.pem"
    write_private_key(path, ANN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = read_private_key(path)
    assert again.public == ANN.public
    assert again.sign(b"x") == ANN.sign(b"x")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_private_key_that_others_can_open_is_refused_with_the_way_to_mend_it(tmp_path, mode):
    path = tmp_path / "node.pem"
    write_private_key(path, ANN)
    path.chmod(mode)
    with pytest.raises(FileProblem) as caught:
        read_private_key(path)
    assert f"chmod 600 {path}" in caught.value.remedy
    path.chmod(0o400)
    assert read_private_key(path) == ANN


def test_a_private_key_is_never_overwritten(tmp_path):
    path = tmp_path / "node.pem"
    write_private_key(path, ANN)
    with pytest.raises(FileProblem, match="already"):
        write_private_key(path, BOB)
    assert read_private_key(path) == ANN


def test_a_private_key_that_cannot_be_written_or_read_says_so(tmp_path):
    with pytest.raises(FileProblem, match="cannot be written"):
        write_private_key(tmp_path / "no" / "node.pem", ANN)
    with pytest.raises(FileProblem, match="cannot be read"):
        read_private_key(tmp_path / "none.pem")


def test_another_kind_of_key_is_refused(tmp_path):
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    other = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = ANN.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    for number, content in enumerate([other, locked, b"", b"hello"]):
        path = tmp_path / f"{number}.pem"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(FileProblem, match="not an Ed25519 private key"):
            read_private_key(path)


def test_public_lines_go_through_files(tmp_path):
    path = tmp_path / "ann.pub"
    write_public_key(path, ANN.public)
    assert path.read_text() == public_line(ANN.public) + "\n"
    assert read_public_key(path) == ANN.public


@pytest.mark.parametrize("line", ["", "ed25519:", "ed25519:" + "0" * 63, "ed25519:" + "0" * 66, "rsa:" + "0" * 64,
                                  "ed25519:" + "A" * 64, "ed25519:" + "0" * 63 + "g", "0" * 64, "ed25519:" + "٠" * 64])  # fmt: skip
def test_what_is_not_a_public_line_is_refused(line, tmp_path):
    with pytest.raises(ValueError, match="64 hexadecimal"):
        parse_public(line)
    (tmp_path / "k").write_text(line, encoding="utf-8")
    with pytest.raises(FileProblem, match="not a public key"):
        read_public_key(tmp_path / "k")


def test_public_key_files_that_cannot_be_used_say_so(tmp_path):
    with pytest.raises(FileProblem, match="cannot be read"):
        read_public_key(tmp_path / "none")
    with pytest.raises(FileProblem, match="cannot be written"):
        write_public_key(tmp_path / "no" / "k", ANN.public)


def test_names_and_fingerprints_of_keys():
    public = bytes(range(32))
    assert keyid(public) == "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd"
    groups = fingerprint(public).split(" ")
    assert len(groups) == 8
    assert all(len(group) == 5 and group.isdigit() for group in groups)
    assert len({fingerprint(key(number).public) for number in range(50)}) == 50


def test_no_private_key_in_a_repr():
    seed = random.Random(1).randbytes(32)
    assert seed.hex() not in repr(ANN)
    assert "private" not in repr(ANN)


# Signatures of two files of one content


def test_signatures_that_hold_are_joined_and_no_others():
    kept = sign_payload(PAYLOAD, TYPE, [ANN])
    assert join_signatures(kept, sign_payload(PAYLOAD, TYPE, [BOB, EVE]), TRUSTED) == sign_payload(
        PAYLOAD, TYPE, [ANN, BOB]
    )
    assert join_signatures(kept, kept, TRUSTED) == kept
    both = sign_payload(PAYLOAD, TYPE, [ANN, BOB])
    assert join_signatures(both, kept, TRUSTED) == both
    with pytest.raises(SignatureProblem, match="same content"):
        join_signatures(kept, sign_payload(b"other", TYPE, [BOB]), TRUSTED)
    with pytest.raises(SignatureProblem, match="same content"):
        join_signatures(kept, sign_payload(PAYLOAD, "text/plain", [BOB]), TRUSTED)


def test_a_wrong_signature_in_a_trusted_name_is_not_joined_and_gives_way_to_the_right_one():
    def spoil(document):
        document["signatures"][1]["sig"] = document["signatures"][0]["sig"]

    good = sign_payload(PAYLOAD, TYPE, [ANN, BOB])
    spoiled = altered(good, spoil)
    assert join_signatures(sign_payload(PAYLOAD, TYPE, [ANN]), spoiled, TRUSTED) == sign_payload(PAYLOAD, TYPE, [ANN])
    assert join_signatures(spoiled, good, TRUSTED) == good
    assert open_envelope(join_signatures(spoiled, sign_payload(PAYLOAD, TYPE, [ANN]), TRUSTED), TYPE, TRUSTED)


def test_signatures_of_strangers_leave_no_trusted_one_without_room():
    strangers = [key(number) for number in range(10, 10 + SIGNATURES_LIMIT - 1)]
    full = sign_payload(PAYLOAD, TYPE, [ANN, *strangers])
    joined = join_signatures(full, sign_payload(PAYLOAD, TYPE, [BOB]), TRUSTED)
    assert len(json.loads(joined)["signatures"]) == SIGNATURES_LIMIT
    assert len(open_envelope(joined, TYPE, TRUSTED, 2).signers) == 2


@pytest.mark.parametrize("y", [*sorted(SMALL_ORDER), FIELD, 2**255 - 1])
@pytest.mark.parametrize("sign", [0, 1])
def test_a_key_for_which_everybody_can_sign_is_no_key(y, sign):
    with pytest.raises(ValueError, match="everybody could sign"):
        parse_public(public_line((y | sign << 255).to_bytes(32, "little")))


def test_the_library_would_take_such_a_key():
    point = (1).to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(point).verify(point + bytes(32), b"whatever anybody likes")
