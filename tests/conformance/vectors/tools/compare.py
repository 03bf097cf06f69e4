# ruff: noqa
# Kept as it came with the vectors.
"""Comparison rules of the vector files, in code. Standard library only. See README.md.

sse_diff(vector, events)            -> '' or a description
chat_diff(vector, outcome_dict)     -> ''  (outcome_dict has the shape of vector['expect'])
token_diff(vector, outcome_dict)    -> ''
retry_diff(vector, seconds)         -> ''
"""


def _fffd(s):
    return s.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") if isinstance(s, str) else s


# --- sse -----------------------------------------------------------------------------------------
def sse_diff(v, events, fields=("event", "data", "id"), end_state=None):
    want = v["events"]
    fields = [f for f in fields if not (f == "retry" and v.get("ignore_retry"))]
    if len(events) != len(want):
        return "%d events, expected %d" % (len(events), len(want))
    for n, (g, w) in enumerate(zip(events, want)):
        for f in fields:
            gv = g.get(f)
            if f == "event":
                gv = gv or "message"
            if f == "id":
                gv = gv if gv is not None else ""
            if gv != w[f]:
                return "event %d: %s is %.60r, expected %.60r" % (n, f, gv, w[f])
    if end_state is not None:
        for k, x in v["end_state"].items():
            if k in end_state and not (k == "reconnection_time" and v.get("ignore_retry")) and end_state[k] != x:
                return "%s is %r, expected %r" % (k, end_state[k], x)
    return ""


# --- chat ----------------------------------------------------------------------------------------
FIELDS = ("content", "reasoning", "tool_calls", "finish_reason", "usage", "turns", "next", "compliance_violations")


def _norm(m, surr):
    m = m or {}
    o = {}
    for f in FIELDS:
        x = m.get(f)
        if f in ("content", "reasoning"):
            x = x or ""
        elif f in ("tool_calls", "turns", "compliance_violations"):
            x = list(x or [])
        elif f == "finish_reason":
            x = x or None
        o[f] = x
    o["tool_calls"] = [
        {
            "id": c.get("id"),
            "type": c.get("type") or "function",
            "name": (c.get("function") or {}).get("name"),
            "arguments": (c.get("function") or {}).get("arguments") or "",
        }
        for c in o["tool_calls"]
    ]
    if surr:
        o["content"] = _fffd(o["content"])
    return o


def _chat1(want, got, surr):
    if got.get("outcome") != want["outcome"]:
        return "outcome %r, expected %r" % (got.get("outcome"), want["outcome"])
    if want["outcome"] in ("ok", "interrupted"):  # partial text is only REQUIRED for these
        a, b = _norm(want["message"], surr), _norm(got.get("message"), surr)
        for f in FIELDS:
            if a[f] != b[f]:
                return "%s is %.80r, expected %.80r" % (f, b[f], a[f])
            if isinstance(b[f], str):
                try:
                    b[f].encode("utf-8")
                except UnicodeEncodeError:
                    return f + " cannot be written as UTF-8"
        if "choices" in want and "choices" in got:
            if len(want["choices"]) != len(got["choices"]):
                return "%d choices, expected %d" % (len(got["choices"]), len(want["choices"]))
            for w, g in zip(want["choices"], got["choices"]):
                a, b = _norm(w, surr), _norm(g, surr)
                for f in FIELDS:
                    if f == "usage" or (f == "compliance_violations" and not a[f]):
                        continue
                    if a[f] != b[f]:
                        return "choice %d: %s is %.60r, expected %.60r" % (w["index"], f, b[f], a[f])
    if want["outcome"] == "api_error":
        ge = got.get("error") or {}
        for k in ("message", "code"):
            if want["error"].get(k) is not None and k in ge and ge[k] is not None and str(ge[k]) != str(want["error"][k]):
                return "error.%s is %.60r, expected %.60r" % (k, ge[k], want["error"][k])
    return ""


def chat_diff(v, got):
    surr = v.get("lone_surrogates_as_fffd", False)
    first = _chat1(v["expect"], got, surr)
    if not first:
        return ""
    return "" if any(not _chat1(w, got, surr) for w in v.get("also_ok", [])) else first


# --- token ---------------------------------------------------------------------------------------
def _tok1(w, g):
    if w["ok"] != g.get("ok"):
        return "ok is %r, expected %r" % (g.get("ok"), w["ok"])
    if not w["ok"]:
        return "" if g.get("reason") == w["reason"] else "reason %r, expected %r" % (g.get("reason"), w["reason"])
    if "token_sha256" in w:
        import hashlib

        if hashlib.sha256(str(g.get("token")).encode("utf-8", "replace")).hexdigest() != w["token_sha256"]:
            return "wrong token"
    elif g.get("token") != w["token"]:
        return "wrong token"
    if "expires_at" in w and g.get("expires_at") is not None and abs(float(g["expires_at"]) - w["expires_at"]) > 1:
        return "expires_at %r, expected %r" % (g["expires_at"], w["expires_at"])
    if "usable_until_local" in w and g.get("usable_until_local") is not None and abs(g["usable_until_local"] - w["usable_until_local"]) > 2:
        return "usable_until_local %r, expected %r" % (g["usable_until_local"], w["usable_until_local"])
    return ""


def token_diff(v, got):
    first = _tok1(v["expect"], got)
    if not first:
        return ""
    return "" if any(not _tok1(w, got) for w in v.get("also_ok", [])) else first


# --- retry-after ---------------------------------------------------------------------------------
def _ret1(w, g):
    if isinstance(w, dict):
        return "" if g is not None and g >= w["at_least"] else "below %r" % w["at_least"]
    if w is None or g is None:
        return "" if w is g else "%r, expected %r" % (g, w)
    if g != g:
        return "NaN"
    if w in (float("inf"),) or g in (float("inf"),):
        return "infinite"
    return "" if abs(g - w) <= 1 else "%r, expected %r" % (g, w)


def retry_diff(v, got):
    first = _ret1(v["seconds"], got)
    if not first:
        return ""
    return "" if any(not _ret1(w, got) for w in v.get("also_ok", [])) else first
