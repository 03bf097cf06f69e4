# ruff: noqa
# Kept as it came with the vectors, but for reading them packed.
"""Serves the vectors over real HTTP/1.1. Standard library only.   python3 tools/serve.py [port]   (prints the port)

  /sse/<n>     n-th vector of sse.json: one HTTP chunk per entry of chunks_b64 (empty entries cannot be sent and are skipped)
  /chat/<n>... n-th vector of chat_stream.json, anything may follow the number; close == "abrupt" drops the connection
               without the final zero-length HTTP chunk
  /token/<n>   n-th vector of token_response.json: exactly the listed status and headers (NO automatic Date header)
  /retry/<n>   n-th vector of retry_after.json: status 429, exactly the listed headers

query of /sse and /chat:  framing=close   no HTTP chunks, the body ends with the connection (HTTP/1.0 style proxies)
                          (or as a part of the path behind the number)
                          hold=SECONDS    keep the connection open that long after the last chunk (promptness checks)
                          delay=SECONDS   pause between chunks
"""

import base64
import gzip
import json
import pathlib
import socket
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = {"sse": "sse.json", "chat": "chat_stream.json", "token": "token_response.json", "retry": "retry_after.json"}
V = {k: json.loads(gzip.decompress((ROOT / (f + ".gz")).read_bytes()))["vectors"] for k, f in FILES.items()}


def handle(conn):
    try:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        f = conn.makefile("rb")
        line = f.readline().decode("latin-1")
        n = 0
        while True:
            h = f.readline()
            if h in (b"\r\n", b"\n", b""):
                break
            if h.lower().startswith(b"content-length:"):
                n = int(h.split(b":")[1])
        if n:
            f.read(n)
        path, _, query = line.split(" ")[1].partition("?")
        parts = path.strip("/").split("/")
        q = dict(x.split("=", 1) for x in [*query.split("&"), *parts[2:]] if "=" in x)
        kind = parts[0]
        v = V[kind][int(parts[1])]
        if kind in ("sse", "chat"):
            chunked = q.get("framing") != "close"
            delay = float(q.get("delay", 0))
            conn.sendall(
                (
                    "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%sConnection: close\r\n\r\n"
                    % (v.get("content_type", "text/event-stream"), "Transfer-Encoding: chunked\r\n" if chunked else "")
                ).encode()
            )
            for c in v["chunks_b64"]:
                c = base64.b64decode(c)
                if c:
                    conn.sendall(b"%x\r\n%s\r\n" % (len(c), c) if chunked else c)
                    if delay:
                        time.sleep(delay)
            if "hold" in q:
                time.sleep(float(q["hold"]))
            if chunked and v.get("close", "clean") == "clean":
                conn.sendall(b"0\r\n\r\n")
        else:
            body = base64.b64decode(v.get("body_b64", ""))
            status = v.get("status", 429)
            out = b"HTTP/1.1 %d X\r\n" % status
            for a, b in v["headers"]:
                if "\x00" not in b:
                    out += a.encode() + b": " + b.encode("utf-8") + b"\r\n"
            if status != 204:
                out += b"Content-Length: %d\r\n" % len(body)
            conn.sendall(out + b"Connection: close\r\n\r\n" + (body if status != 204 else b""))
        conn.shutdown(socket.SHUT_WR)
        f.read(1)
    except (OSError, KeyError, IndexError, ValueError):
        pass
    finally:
        conn.close()


def main(port=0):
    s = socket.create_server(("127.0.0.1", port), backlog=128)
    print(s.getsockname()[1], flush=True)
    while True:
        c, _ = s.accept()
        threading.Thread(target=handle, args=(c,), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
