"""What programs say on stderr: no secret is shown, and all that helps is."""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from urllib.parse import quote

import pytest
from hypothesis import example, given, strategies as st

from animus._secret import REDACTED
from animus.sources.complaint import fit_to_show
from tests.tokens.minting import mint

TOKEN = mint(4102444800, sub="complaint")

CONTEXTS = [
    "password: {}",
    "Password for ada: hm\nPASSWORD = {}\nnothing more",
    "login failed password={} for ada",
    "export DB_PASSWORD={}",
    '{"user": "ada", "password": "{}"}',
    '{"client_secret":"{}","more":1}',
    r'{"message": "{\"refresh_token\": \"{}\"}"}',
    "{'apiKey': '{}'}",
    "[(b'Authorization', b'Token {}'), (b'Accept', b'*/*')]",
    'scopes: ["openid"], token: ["{}"]',
    "X-Api-Key: {}",
    "apikey: {}",
    "Authorization: {}",
    "> Authorization: Token {}\n> Accept: */*",
    "Authorization: Bearer:{}",
    "got Bearer {}",
    "token: Bearer {}",
    "Cookie: theme=dark; session={}; more=1",
    "curl -v -H 'Cookie: a=b; sid={}' -H 'Proxy-Authorization: Token {}' https://idp.example/",
    "credential = '{}'",
    "AWS_SECRET_ACCESS_KEY={}",
    "refresh_token={}",
    "cannot use token: client_secret: {}",
    "secret: token={}",
    "\x1b[1mpassword\x1b[0m: {}",
    "corp-login --verbose --password {} --realm corp",
    "corp-login --client-secret={} --realm corp",
    "corp-login -key '{}' --realm corp",
    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\nwas refused",
    r'"private_key": "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"',
    "read -----BEGIN RSA PRIVATE KEY-----\n{}",
    "{}\n-----END EC PRIVATE KEY-----",
]
IN_URLS = [
    "GET https://ada:{}@idp.example/token failed",
    "cannot clone https://{}@git.example/ada/animus.git",
    "POST https://idp.example/token?client_secret={}&x=1: 400",
    "GET https://idp.example/data?key={}",
    "form: grant_type=password&password={}&scope=openid",
]
PREFIXES = ["sk-", "sk-proj-", "ghp_", "github_pat_", "glpat-", "xoxb-", "hvs.", "1//0", "ak_live_", "AKIA"]

# beginning with a letter or digit: "=" would belong to what stands before it, "/opt/x" is a place
_FIRST = st.sampled_from(string.ascii_letters + string.digits)
_BASE64 = string.ascii_letters + string.digits + "+/="
_BASE64URL = string.ascii_letters + string.digits + "-_"
_PASSWORD = string.ascii_letters + string.digits + "!#$%^*+=?.,;~_-"


def secrets_of(*alphabets: str) -> st.SearchStrategy[str]:
    rest = st.sampled_from(alphabets).flatmap(lambda alphabet: st.text(alphabet, min_size=7, max_size=50))
    return st.tuples(_FIRST, rest).map("".join)


def shown(context: str, secret: str) -> str:
    return fit_to_show(context.replace("{}", secret))


@given(st.sampled_from(CONTEXTS), secrets_of(_BASE64, _BASE64URL, string.hexdigits, string.ascii_lowercase, _PASSWORD))
def test_what_is_shown_does_not_depend_on_the_secret(context: str, secret: str) -> None:
    assert shown(context, secret) == shown(context, "another-secret")
    assert REDACTED in shown(context, secret)


@pytest.mark.parametrize("secret", ["expired", "missing", "invalid", "required", "permission", "unknown", "notabcdef", "is-a-secret"])
def test_nor_if_it_begins_like_a_message(secret: str) -> None:
    for context in CONTEXTS:
        assert shown(context, secret) == shown(context, "another-secret")


@pytest.mark.parametrize(
    ("said", "head"),
    [
        ("password: permission denied is what I said", "password:"),
        ("Passphrase: not a word of it", "Passphrase:"),
        ("Authorization: Token expired at noon", "Authorization:"),
        ("Authorization: Bearer missing link", "Authorization:"),
        ("Authorization: invalid hunter22 secret", "Authorization:"),
        ("Authorization: invalid Hunter", "Authorization:"),
        ("Cookie: no=more; is not what it was", "Cookie:"),
        ("Set-Cookie: expired=yes it is", "Set-Cookie:"),
    ],
)
def test_what_may_be_a_secret_in_several_words_is_none_of_them(said: str, head: str) -> None:
    assert fit_to_show(said) == f"{head} {REDACTED}"


@given(st.uuids(), st.sampled_from(["secret_id: {}", "secret_id={} x", "client_secret={}", "token: {}", '{"secretId": "{}"}', "sid={}"]))
def test_a_uuid_that_is_a_secret_is_known_by_its_name(secret: uuid.UUID, context: str) -> None:
    assert str(secret) not in shown(context, str(secret))


@given(st.uuids(), st.sampled_from(["Trace ID: {}", "trace_id={} x", "GET https://idp.example/{}/oauth2/v2.0/token: 400", "no tenant {}"]))
def test_others_name_something(name: uuid.UUID, context: str) -> None:
    assert shown(context, str(name)) == context.replace("{}", str(name))
    assert shown(context, str(name).upper()) == context.replace("{}", str(name).upper())


@given(st.sampled_from(IN_URLS), secrets_of(_BASE64, _BASE64URL, string.hexdigits, _PASSWORD))
def test_nor_in_urls(context: str, secret: str) -> None:
    assert shown(context, quote(secret, safe="")) == shown(context, "another-secret")


@given(st.text(min_size=1).filter(lambda text: "BEGIN" not in text))  # a key file is one from there to its end
@example('"0000000000000000000A')
@example("0000000\\")
@example("BEARER 00000")
@example('Cookie: ": "')
@example("-----END X-----\0")
def test_nor_in_json_whatever_it_is(secret: str) -> None:
    document = json.dumps({"password": secret, "realm": "corp"})
    assert fit_to_show(document) == json.dumps({"password": REDACTED, "realm": "corp"})
    assert fit_to_show(json.dumps({"body": document})) == json.dumps({"body": fit_to_show(document)})


@given(st.sampled_from(PREFIXES), secrets_of(_BASE64URL, string.ascii_uppercase, string.ascii_lowercase))
def test_keys_are_known_by_how_they_begin(prefix: str, secret: str) -> None:
    assert fit_to_show(f"invalid api_key {prefix}{secret} (403)") == f"invalid api_key {REDACTED} (403)"


def test_of_a_key_file_nothing_is_shown_but_what_is_around_it() -> None:
    lines = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw/ggSj+gE\nAoIBAQC7VJTUt9Us8cKj\nab=="
    block = f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----"
    assert fit_to_show(f"read\n{block}\nand\n{block}\nrefused") == f"read {REDACTED} and {REDACTED} refused"
    assert fit_to_show(f"read {block[:60]}") == f"read {REDACTED}"
    assert fit_to_show(f"{block[60:]}\nrefused") == f"{REDACTED} refused"


def test_random_words_are_known_by_how_they_look() -> None:
    chance = random.Random(7)
    for _ in range(500):
        word = base64.b64encode(chance.randbytes(30)).decode()
        if any(each.isdigit() for each in word):
            assert fit_to_show(f"got {word} instead") == f"got {REDACTED} instead"
    for word in ("k3j9x0q2mz7w1p5t8r4y6", "card-4111-1111-1111-1111", "abc_0123456789abcdef0123", "3c1b7a80aaaabbbbccccdddddddddddd"):
        assert fit_to_show(f"got {word} instead") == f"got {REDACTED} instead"
    assert fit_to_show("got wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY") == f"got {REDACTED}"


@pytest.mark.parametrize("width", [20, 39, 40, 64, 76])
@pytest.mark.parametrize("fold", ["\n", "\r\n", "\n    "])
def test_a_folded_token_is_still_a_token(width: int, fold: str) -> None:
    folded = fold.join(TOKEN[start : start + width] for start in range(0, len(TOKEN), width))
    assert fit_to_show(f"token {folded} was refused") == f"token {REDACTED} was refused"
    assert fit_to_show(f"{folded}\nError: refused by idp.example") == f"{REDACTED}: refused by idp.example"


@pytest.mark.parametrize(
    "said",
    [
        "connection refused to 10.0.0.1:443",
        'File "/usr/lib/python3/foo.py", line 3, in load_token',
        "/Users/Ada/Library/Python3/site-packages/corp/secrets.py:33: UserWarning: old",
        "token expired, run corp-login",
        "Error: secret store is sealed",
        "secret: not found",
        "bearer token is missing",
        "get token: dial tcp 10.0.0.1:443: connection refused",
        'Post "https://idp.example/oauth/token": context deadline exceeded',
        "cannot fetch token: https://idp.example/oauth2/v2.0/token: 503",
        "GET https://idp.example:8443/users/ada@corp.example?scope=openid&page=2 failed",
        "credentials: /home/ada/.corp/credentials.json not found",
        "GOOGLE_APPLICATION_CREDENTIALS=/etc/corp/key.json is no file",
        "--password is required; unknown option --token for command",
        "jwt.exceptions.ExpiredSignatureError: Signature has expired",
        "google.auth.exceptions.RefreshError: ('invalid_grant: Bad Request', {'error': 'invalid_grant'})",
        "KeyError: 'CORP_REGION'",
        "ada@idp.example: Permission denied (publickey,password).",
        "fatal: could not read Username for 'https://git.example': terminal prompts disabled",
        "permission denied on secret/data/animus",
        "git+ssh://git@git.example/ada/animus.git was not found",
        "authorization: permission denied for role reader",
        "Authorization: denied, ask your administrator (or his).",
        "Token: expired at 2025-11-02T10:00:00Z",
        "Token: Expired, run corp-login",
        "api_key: missing in config file /etc/animus/config.yaml",
        "secret: required for realm corp",
        "cookie: jar is empty, please log in again",
        "ModuleNotFoundError: No module named 'corp_login_helper_plugin_v2_internal'",
        "executable aws-iam-authenticator-v1.2.3-linux-amd64 not found",
        "run aws sso login --profile production-account-readonly-2024",
        "scheduler: task-12345 took 30s, max_tokens: 4096",
    ],
)
def test_what_helps_stays(said: str) -> None:
    assert fit_to_show(said) == said


def test_it_is_one_line_of_at_most_300_characters_the_last_ones() -> None:
    assert fit_to_show("a\n  b\tc\x07") == "a b c\\x07"
    said = fit_to_show(" ".join(f"line-{number}" for number in range(1000)))
    assert (said[0], said[-9:], len(said)) == ("…", " line-999", 301)


def test_what_is_known_is_not_shown_either() -> None:
    assert fit_to_show("no user hunter2", ["hunter2"]) == f"no user {REDACTED}"
