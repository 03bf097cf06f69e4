"""What a token must show: which settings go together."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from animus.errors import ConfigurationError
from animus.tokens.verification import TokenVerification
from tests.tokens.signing import Keys

RSA, CURVE = Keys.rsa(), Keys.curve()
SECRET = "a-shared-secret-of-thirty-two-bytes"
OCT = {"kty": "oct", "k": "c2VjcmV0LXRoYXQtbm9ib2R5LWtub3dz"}
URL = "https://auth.example/jwks.json"


def verification(**changes: Any) -> TokenVerification:
    return TokenVerification(**{"key": RSA.public, "algorithms": ["RS256"], "audience": "animus", **changes})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"key": RSA.jwk},
        {"key": json.dumps(RSA.jwk)},
        {"key": {"keys": [OCT, CURVE.jwk, RSA.jwk]}, "algorithms": ("RS256", "ES256", "HS256")},
        {"key": CURVE.public, "algorithms": ["ES256"]},
        {"key": SECRET, "algorithms": ["HS256"]},
        {"key": OCT, "algorithms": ["HS512"]},
        {"key": None, "jwks_url": URL},
        {"audience": None, "issuer": None, "leeway": 0},
    ],
)
def test_what_goes_together(settings: dict[str, Any]) -> None:
    assert verification(**settings).algorithms


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"key": None}, "one of key and jwks_url"),
        ({"jwks_url": URL}, "one of key and jwks_url"),
        ({"key": ""}, "verification.key"),
        ({"key": 7}, "verification.key"),
        ({"key": {}}, "verification.key"),
        ({"key": "{no json"}, "begins like JSON"),
        ({"key": {"keys": []}}, "no key for RS256"),
        ({"key": {"kty": "EC"}}, "no key for RS256"),
        ({"key": SECRET}, "no key for RS256"),
        ({"key": "".join(RSA.public.splitlines()[1:-1])}, "-----BEGIN PUBLIC KEY-----"),
        ({"algorithms": []}, "list of algorithms"),
        ({"algorithms": "RS256"}, "list of algorithms"),
        ({"algorithms": None}, "list of algorithms"),
        ({"algorithms": ["none"]}, "anybody could make such a token"),
        ({"algorithms": ["RS256", "None"]}, "anybody could make such a token"),
        ({"algorithms": ["PS256"]}, "list of algorithms"),
        ({"algorithms": [7]}, "list of algorithms"),
        ({"audience": ""}, "audience"),
        ({"audience": 7}, "audience"),
        ({"issuer": " "}, "issuer"),
        ({"leeway": -1}, "leeway"),
        ({"leeway": "1"}, "leeway"),
        ({"key": None, "jwks_url": "nowhere"}, "jwks_url"),
        ({"key": None, "jwks_url": ""}, "jwks_url"),
    ],
)
def test_what_does_not(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        verification(**settings)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("missing", ["algorithms", "audience"])
def test_what_must_be_said(missing: str) -> None:
    settings = {"key": RSA.public, "algorithms": ["RS256"], "audience": "animus"}
    del settings[missing]
    with pytest.raises(TypeError, match=missing):
        TokenVerification(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"key": RSA.public},
        {"key": RSA.openssh},
        {"key": RSA.jwk},
        {"key": "".join(RSA.public.splitlines()[1:-1])},
        {"key": CURVE.public},
        {"key": {"keys": [RSA.jwk, CURVE.jwk]}},
        {"key": None, "jwks_url": URL},
    ],
)
@pytest.mark.parametrize("algorithms", [["HS256"], ["RS256", "HS256"], ["ES256", "HS384"]])
def test_cve_2024_33663_no_secrets_algorithm_with_a_public_key(settings: dict[str, Any], algorithms: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        verification(**settings, algorithms=algorithms)


def test_the_refusal_names_the_danger() -> None:
    with pytest.raises(ConfigurationError, match=r"HS256 is for a shared secret, but the key is a public one.*CVE-2024-33663"):
        verification(algorithms=["HS256"])


def test_later_changes_of_the_callers_key_do_not_count() -> None:
    mine = {"keys": [dict(RSA.jwk)]}
    checked = verification(key=mine)
    mine["keys"][0]["n"] = "changed"
    mine["keys"].clear()
    assert checked.keys == [RSA.jwk]


def test_it_shows_no_key_and_is_known_to_be_public_or_not() -> None:
    for settings, public in [
        ({"key": SECRET, "algorithms": ["HS256"]}, False),
        ({"key": OCT, "algorithms": ["HS256"]}, False),
        ({"key": {"keys": [OCT, RSA.jwk]}}, False),
        ({"key": RSA.private}, False),
        ({"key": RSA.public}, True),
        ({"key": {"keys": [RSA.jwk]}}, True),
        ({"key": None, "jwks_url": URL}, True),
        ({"key": None, "jwks_url": f"{URL}?key={SECRET}"}, False),
    ]:
        checked = verification(**settings)
        assert checked.is_public is public
        assert SECRET not in repr(checked)
        assert OCT["k"] not in repr(checked)
        assert copy.deepcopy(checked) is copy.copy(checked) is checked
        hash(checked)
        if public:
            assert pickle.loads(pickle.dumps(checked)) == checked
        else:
            with pytest.raises(TypeError, match="not pickled"):
                pickle.dumps(checked)
