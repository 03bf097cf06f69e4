"""The head of an answer is read as http.client reads it."""

from __future__ import annotations

import http.client
import io
import socket

import pytest
from hypothesis import given, strategies as st

from animus.http import head
from animus.http.head import AnswerHead, read_head


def read_both(block: bytes) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    ours, theirs = read_head(io.BytesIO(block)), http.client.parse_headers(io.BytesIO(block))
    assert ours.get_payload() == theirs.get_payload()
    assert [str(defect) for defect in ours.defects] == [str(defect) for defect in theirs.defects]
    return ours.items(), theirs.items()


@pytest.mark.parametrize(
    "block",
    [
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n",
        b"A:b\r\nA:  c  \r\n\r\n",
        b"A:\t b\t\r\n\r\n",
        b"Folded: one\r\n two\r\nB: c\r\n\r\n",
        b"no colon\r\nA: b\r\n\r\n",
        b"Spaced Name: b\r\nA: b\r\n\r\n",
        b"From here\r\nA: b\r\n\r\n",
        b"Latin: caf\xe9\r\n\r\n",
        b"Utf8: caf\xc3\xa9\r\n\r\n",
        b"Lf: only\nB: c\n\n",
        b"Empty:\r\n\r\n",
        b": no name\r\n\r\n",
        b"Cr: a\rb\r\n\r\n",
        b"\r\n",
        b"Cut: off",
        b"",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n",
    ],
)
def test_it_reads_what_the_email_package_reads(block: bytes) -> None:
    ours, theirs = read_both(block)
    assert ours == theirs


names = st.one_of(st.sampled_from([b"A", b"set-cookie", b"X-Y", b"From", b"bad name", b"", b" fold", b"\xe9"]), st.binary(max_size=6))
values = st.one_of(st.sampled_from([b"x", b" x ", b"\tx", b"", b"a: b", b"caf\xc3\xa9", b"\x85\x0b"]), st.binary(max_size=12))
lines = st.tuples(names, st.sampled_from([b":", b": ", b" :", b""]), values, st.sampled_from([b"\r\n", b"\n"])).map(b"".join)


@given(st.lists(lines, max_size=6), st.sampled_from([b"\r\n", b"\n", b""]))
def test_it_reads_any_head_as_the_email_package_does(head_lines: list[bytes], end: bytes) -> None:
    ours, theirs = read_both(b"".join(head_lines) + end)
    assert ours == theirs


def test_limits_are_kept() -> None:
    with pytest.raises(http.client.HTTPException, match="100 headers"):
        read_head(io.BytesIO(b"A: b\r\n" * 101 + b"\r\n"))
    with pytest.raises(http.client.LineTooLong):
        read_head(io.BytesIO(b"A: " + b"b" * 70000 + b"\r\n\r\n"))


def test_the_answer_class_reads_a_whole_answer() -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        theirs.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nhi")
        answer = AnswerHead(mine)
        answer.begin()
        assert (answer.status, answer.getheader("x"), answer.read()) == (200, "y", b"hi")
        answer.close()


def test_where_the_standard_library_differs_its_own_class_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(http.client, "_read_headers")
    assert head._answer_class() is http.client.HTTPResponse
