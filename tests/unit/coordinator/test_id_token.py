"""ID tokens that are right, and every way that one is not."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from authlib.oidc.core.util import create_half_hash
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from coordinator.settings import OpenIdSettings
from coordinator.sign_in.id_token import ALGORITHMS, Expected, check_id_token, person_of
from coordinator.sign_in.provider_problem import ProviderProblem
from tests.integration.openid_keys import key_for, public, sign, signed_with_public_key, unsigned

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
ISSUER = "https://login.example"
EXPECTED = Expected(issuer=ISSUER, client_id="pages", nonce="n" * 43, access_token="access", now=NOW)
RSA = key_for("RS256")
SETTINGS = OpenIdSettings(
    issuer=ISSUER,
    client_id="pages",
    client_secret_file="secret",
    roles_claim="groups",
    roles={"analysts": "analyst", "dpos": "reviewer"},
    agreements={"analysts": ("north-east", "south"), "dpos": ("south",)},
)


def claims(**changes):
    made = {"iss": ISSUER, "sub": "ann", "aud": "pages", "exp": AT + 300, "iat": AT, "nonce": "n" * 43} | changes
    return {name: value for name, value in made.items() if value is not None}


def check(token, *keys, expected=EXPECTED):
    return check_id_token(token, public(*(keys or (RSA,))), expected)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_that_is_right(algorithm):
    key = key_for(algorithm)
    assert check(sign(claims(), key, algorithm=algorithm), key)["sub"] == "ann"


def test_a_token_that_says_more():
    at_hash = create_half_hash("access", "RS256").decode()
    assert check(sign(claims(aud=["pages"], azp="pages", at_hash=at_hash, nbf=AT, email="x"), RSA))["sub"] == "ann"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"aud": "other"},
        {"aud": ["pages", "other"]},
        {"aud": ["pages", "pages"]},
        {"aud": []},
        {"aud": None},
        {"aud": "page"},
        {"azp": "other"},
        {"exp": AT - 61},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iat": None},
        {"iat": AT + 120},
        {"iat": AT - 3600},
        {"iat": "now"},
        {"nbf": AT + 120},
        {"nbf": "x"},
        {"nonce": "m" * 43},
        {"nonce": None},
        {"nonce": ["n" * 43]},
        {"nonce": ""},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"sub": None},
    ],
    ids=str,
)
def test_a_token_that_says_something_else(changes):
    with pytest.raises(ProviderProblem):
        check(sign(claims(**changes), RSA))


def test_a_minute_of_difference_between_clocks_is_borne():
    assert check(sign(claims(exp=AT - 59, iat=AT - 300), RSA))
    assert check(sign(claims(iat=AT + 59), RSA))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_without_a_signature(alg):
    for token in (unsigned(claims(), alg=alg), unsigned(claims(), alg=alg, kid="one") + "AAAA"):
        with pytest.raises(ProviderProblem):
            check(token)


@pytest.mark.parametrize("form", ["pem", "der", "n"])
def test_a_token_signed_with_the_public_key_as_a_secret(form):
    token = signed_with_public_key(claims(), RSA, form)
    with pytest.raises(ProviderProblem, match="in a way that is not taken"):
        check(token)


def test_a_secret_among_the_published_keys_is_no_key():
    shared = OctKey.import_key("k" * 32, parameters={"kid": "one"})
    token = sign(claims(), shared, algorithm="HS256")
    with pytest.raises(ProviderProblem, match="in a way that is not taken"):
        check_id_token(token, [shared.as_dict(private=True)], EXPECTED)


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_an_algorithm_that_is_not_on_the_list(algorithm):
    key = RSAKey.generate_key(2048, parameters={"kid": "one"})
    with pytest.raises(ProviderProblem, match="in a way that is not taken"):
        check(sign(claims(), key, algorithm=algorithm), key)


def test_a_key_of_the_provider_for_another_use_or_algorithm():
    for parameters in ({"use": "enc"}, {"alg": "RS512"}, {"kid": "two"}):
        key = RSAKey.import_key(RSA.as_dict(private=True) | parameters)
        with pytest.raises(ProviderProblem, match="None of the provider's keys"):
            check(sign(claims(), RSA), key)


def test_a_token_signed_by_somebody_else():
    other = RSAKey.generate_key(2048, parameters={"kid": "one", "alg": "RS256"})
    with pytest.raises(ProviderProblem):
        check(sign(claims(), other))
    with pytest.raises(ProviderProblem, match="2 of the provider's keys"):
        check(sign(claims(), RSA), RSA, other)
    with pytest.raises(ProviderProblem):
        check_id_token(sign(claims(), RSA), [], EXPECTED)


def test_a_key_that_the_token_brings_along_is_not_used():
    other = RSAKey.generate_key(2048, parameters={"kid": "one", "alg": "RS256"})
    token = sign(claims(), other, jwk=other.as_dict(private=False))
    with pytest.raises(ProviderProblem):
        check(token)


def test_a_key_that_is_too_short():
    short = RSAKey.generate_key(1024, parameters={"kid": "one", "alg": "RS256"})
    with pytest.raises(ProviderProblem, match="too short"):
        check(sign(claims(), short), short)


def test_a_key_on_another_curve():
    for key, algorithm in (
        (ECKey.generate_key("P-384", parameters={"kid": "one"}), "ES384"),
        (OKPKey.generate_key("Ed448", parameters={"kid": "one"}), "EdDSA"),
    ):
        with pytest.raises(ProviderProblem):
            check(sign(claims(), key, algorithm=algorithm), key)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_token_that_was_changed_on_the_way(place):
    parts = sign(claims(), RSA).split(".")
    for position in (0, len(parts[place]) // 2):
        letters = list(parts[place])
        letters[position] = "A" if letters[position] != "A" else "B"
        changed = [*parts[:place], "".join(letters), *parts[place + 1 :]]
        with pytest.raises(ProviderProblem):
            check(".".join(changed))


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.é.é", "eyJhbGciOiJSUzI1NiJ9", "." * 10_000])
def test_what_is_no_token(token):
    with pytest.raises(ProviderProblem):
        check(token)


def test_a_problem_never_repeats_what_the_token_says():
    with pytest.raises(ProviderProblem) as problem:
        check(sign(claims(nonce="the other nonce"), RSA))
    assert "the other nonce" not in problem.value.diagnostics()


def test_whoever_the_provider_vouches_for_has_the_roles_of_the_settings():
    person = person_of(claims(groups=["analysts", "dpos", "cleaners"]), SETTINGS)
    assert (person.account, person.roles, person.agreements) == (
        "ann@login.example",
        "analyst reviewer",
        "north-east south",
    )
    assert person_of(claims(groups="dpos"), SETTINGS).roles == "reviewer"


@pytest.mark.parametrize(
    "groups", [None, [], ["operator"], {"analysts": 1}, [["analysts"]], 7, "analysts dpos", "Analysts"]
)
def test_a_claim_gives_nothing_that_the_settings_do_not_name(groups):
    person = person_of(claims(groups=groups), SETTINGS)
    assert (person.roles, person.agreements) == ("", "")


def test_nobody_takes_anothers_account():
    names = {}
    for subject in ("ann", "Ann", "ann@login.example", "a b", "a\nb", "é", "x" * 200, "x" * 199, "<script>"):
        person = person_of(claims(sub=subject), SETTINGS)
        assert len(person.account) <= 64
        assert person.account.isprintable()
        assert "@" in person.account
        assert not set(person.account) & set(" <>\n")
        assert names.setdefault(person.account, person.subject_hash) == person.subject_hash
    assert len(names) == 9
    elsewhere = SETTINGS.model_copy(update={"issuer": ISSUER + "/realms/two"})
    assert person_of(claims(), elsewhere).subject_hash != person_of(claims(), SETTINGS).subject_hash


@pytest.mark.parametrize("subject", [None, "", 7, "x" * 256, ["ann"]])
def test_a_token_that_names_nobody(subject):
    with pytest.raises(ProviderProblem, match="names nobody"):
        person_of(claims(sub=subject), SETTINGS)


def test_what_is_expected_is_not_shown():
    assert "n" * 43 not in repr(replace(EXPECTED))
