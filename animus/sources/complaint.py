"""What a program said on stderr, fit to be shown: all that helps to mend it, and nothing that may be a secret.

``scrub`` takes out what is known, and what is a token beyond doubt. But a program may print anything: its configuration, the request it
made, a key file. Here more goes, by what stands before it and by how it looks: rather a word too many than a secret too few. Words of
less than six characters stay, which messages are made of, and sentences about a secret ("token: expired at noon"), but not about a
password, which may itself be one. So do places (paths of files, and URLs without what is secret in them), UUIDs, and names in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from animus._secret import REDACTED, scrub

_LONGEST = 300  # characters, the last ones: programs say at the end why they end

_CONTROLS = re.compile(r"\0|\x1b\[[0-9;?]*[A-Za-z]")  # such as colours, which may stand between a name and its value
_KEY_BLOCK = re.compile(r"-{4,5} ?BEGIN .*?(?:-{4} ?END [^-\n]*-{4,}|\Z)", re.DOTALL)
_TAIL_OF_KEY_BLOCK = re.compile(r"\A.*-{4} ?END [^-\n]*-{4,}", re.DOTALL)  # its beginning was cut off
# broken into lines by what printed it; where it ends cannot be seen, so the first word of the line behind it goes as well
_FOLDED_JWT = re.compile(r"\bey[ABJ](?:[\w-]|\r?\n[ \t]*(?=[\w.-]))*\.(?:[\w.-]|\r?\n[ \t]*(?=[\w.-]))*")

_PASSWORD = r"(?:passwor[dt]|passwd|pass-?phrase)s?[0-9]*"
# how sentences about a secret begin; a secret that is such a word stands alone
_SAYING = r"(?:expired|missing|invalid|denied|required|not|empty|permission|is|was|no|must|has|cannot|unknown|failed|refused)"
_SENTENCE = rf"{_SAYING}(?-i:[,;:]?[ \t]+[a-z]{{2}})"
_WHOLE_SENTENCE = rf"{_SENTENCE}(?-i:[a-z \t,.;:()'-]*)(?:\Z|[\r\n])"
# a cookie is a name, "=" and a value: the rest of a line without it are words
_HEADERS = rf"(?:authorization[ \t]*[:=](?![ \t]*{_WHOLE_SENTENCE})|cookies?[ \t]*[:=](?=.*=))"
# ends of names, such as those of AWS_SECRET_ACCESS_KEY and clientSecret; "KeyError" and "token_url" are none
_KINDS = r"secret(?:_?id)?|token|credential|(?:api|access|account|private|secret)[-_ ]?key|[-_]key"
_NAME = rf"(?:{_PASSWORD}|authorization|cookies?|(?:{_KINDS})s?[0-9]*)"
_WEAK_NAME = r"(?:key|auth|session(?:_?id)?|sid|sig(?:nature)?|pwd|pass)"  # words like others, unless "=" follows or they are options
_WEAK = rf"{_WEAK_NAME}=|(?<![\w-])--?[\w-]*?(?:{_NAME}|{_WEAK_NAME})[ \t]"
_PLACE = r"~?/[a-z]+/|https?://"
# to where "&name=" follows, or a quote that closes
_WORD = r"""(?:[^\s"'`&\\]|\\(?!["'`])|&(?![\w.-]+=)|["'`](?=\w)){6,}"""
_PREFIX = r"sk-|[sprak]k_(?:live|test)_|gh[oprsu]_|github_pat_|glpat-|xox[a-z]-|hv[bsr]\.|ya29\.|AIza|1//0|A[KS]IA"

# {"password": "…"}, {\"token\": \"…\"}, ("Authorization", "…"), secret = '…', --token '…'; whatever the value is, its quote ends it
_QUOTED = re.compile(
    rf"""(?i)(?P<head>(?:{_NAME}(?:\\*["'][ \t]*,|\\*["']?[ \t]*[:=]+>?)|{_WEAK})[ \t]*[\[(]?b?(?P<quote>(?P<escape>\\*)["'`]))"""
    r"(?:(?!(?P=quote))(?:(?P=escape)\\(?P=escape).|.))+"  # in JSON that is itself in a text, escapes are escaped
)
# each has a head, which stays, and a secret behind it; the order counts: what one leaves, the next must not take for the value
_SECRETS = tuple(
    re.compile(f"(?i)(?P<head>{head}){secret}")
    for head, secret in (
        # of URLs, what is before the host
        (r"://", r"""(?:[^\s/?#@"']{6,}|[^\s/?#@"':]*:(?![0-9]{1,5}[/?#])[^\s"']*)(?=@)"""),
        (r"""\b(?:bearer|basic)\b["']?[\s:=]+["']?""", _WORD),
        # to the end of the line, since there may be spaces in it; or of the quote: -H 'Cookie: a=b; c=d'
        (
            rf"""(?:(?P<open>["'`])[\w.-]*?)?(?:{_HEADERS}|{_PASSWORD}(?:[ \t]*:|[ \t]+=(?=[ \t])))[ \t]*""",
            r"""(?(open)(?:(?!(?P=open)).)+|[^\s"'`].{5,})""",
        ),
        # a word, if that is not itself the name of the value
        (
            rf"(?:{_NAME}[ \t]*[:=]+>?|{_WEAK})[ \t]*(?!{_PLACE}|(?<=:[ \t]){_SENTENCE}|[\w.-]*?{_NAME}[ \t]*[:=])",
            _WORD,
        ),
        (r"\b", rf"(?-i:{_PREFIX})[\w.~+/=-]{{6,}}"),
    )
)
_SHOWN = rf"\g<head>{REDACTED}"
_WITH_SLASHES = re.compile(r"[A-Za-z0-9_~+-]*/[A-Za-z0-9_~+/-]*=*")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
# request_id=…, and names such as corp_login_v2 and aws-login-2026: those of secrets have gone already
_NAMED = re.compile(rf"(?:[A-Za-z_]*(?:id|ID|Id)=)?{_UUID.pattern}|[a-z]+[0-9]{{0,4}}(?:[_-][a-z]+[0-9]{{0,4}})+(?:[_-][0-9]{{1,4}})?")
_RANDOM = re.compile(r"(?<![A-Za-z0-9_~+=-])(?=[A-Za-z_~+=-]*[0-9])(?=[0-9_~+=-]*[A-Za-z])[A-Za-z0-9_~+=-]{20,}")


def fit_to_show(said: str, secrets: Iterable[str] = ()) -> str:
    """Give what a program said in one line, shortened to its end, without secrets.

    Args:
        secrets: What must not be shown, beyond all that looks like a secret; long ones first, if one may be part of another.
    """
    said = _CONTROLS.sub("", said)
    said = _QUOTED.sub(_SHOWN, _KEY_BLOCK.sub(REDACTED, said))
    said = scrub(_FOLDED_JWT.sub(REDACTED, _TAIL_OF_KEY_BLOCK.sub(REDACTED, said)), secrets)
    for pattern in _SECRETS:
        said = pattern.sub(_SHOWN, said)
    said = _RANDOM.sub(_unless_named, _WITH_SLASHES.sub(_unless_random, said))
    said = " ".join(word if word.isprintable() else ascii(word)[1:-1] for word in said.split())
    return said if len(said) <= _LONGEST else f"…{said[-_LONGEST:]}"


def _unless_random(match: re.Match[str]) -> str:
    """Give a word with slashes if it may be a path: in base64, most characters are of another kind than the one before them."""
    kinds = [(each.isdigit(), each.isupper()) for each in _UUID.sub("", match[0]) if each.isalnum()]
    changes = sum(one != other for one, other in pairwise(kinds))
    return REDACTED if len(kinds) >= 20 and 3 * changes >= len(kinds) else match[0]


def _unless_named(match: re.Match[str]) -> str:
    """Give a word if it is a UUID, or the name of something."""
    return match[0] if _NAMED.fullmatch(match[0]) else REDACTED
