from __future__ import annotations

import struct
import zlib

import pytest
import requests
from hypothesis import given, settings, strategies as st

from animus.emulator import Emulator
from animus.emulator.images import draw, is_seed, seed_of
from tests.emulator.caller import Caller


def pixels(png: bytes) -> tuple[int, int, bytes]:
    """Read a PNG of 8-bit RGB without filters (PNG specification, section 5)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(png):
        size, name = struct.unpack(">I4s", png[place : place + 8])
        data = png[place + 8 : place + 8 + size]
        assert struct.unpack(">I", png[place + 8 + size : place + 12 + size])[0] == zlib.crc32(name + data)
        chunks[name] = data
        place += 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 2, 0, 0, 0]
    return width, height, zlib.decompress(chunks[b"IDAT"])


@given(st.text())
@settings(max_examples=20)
def test_pictures_are_real_png_files(prompt: str) -> None:
    seed = seed_of(prompt)
    assert is_seed(seed)
    width, height, raw = pixels(draw(seed))
    assert (width, height, len(raw)) == (256, 256, 256 * (1 + 3 * 256))


def test_the_same_prompt_gives_the_same_picture(caller: Caller) -> None:
    def picture(**body: str) -> bytes:
        [url] = caller.post("/generate/image", json=body).json()["output"]
        response = requests.get(url, timeout=20)
        assert response.headers["Content-Type"] == "image/png"
        return response.content

    fox = picture(prompt="fox")
    assert picture(prompt="fox") == fox
    assert picture(prompt="cat") != fox
    assert picture(prompt="fox", input_image="http://x/y.png") != fox


@pytest.mark.parametrize("body", [{}, {"prompt": ""}, {"prompt": " "}, {"prompt": 1}, {"prompt": "x", "input_image": 1}])
def test_bad_image_requests_are_422(caller: Caller, body: dict[str, object]) -> None:
    response = caller.post("/generate/image", json=body)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "body"


def test_images_need_a_token_to_be_made_but_not_to_be_seen(emulator: Emulator) -> None:
    assert requests.post(f"{emulator.api_base_url}/generate/image", json={"prompt": "x"}, timeout=20).status_code == 401
    assert requests.get(f"{emulator.url}/images/{seed_of('x')}.png", timeout=20).status_code == 200


@pytest.mark.parametrize("name", ["x.png", "0123456789abcdef.gif", "0123456789ABCDEF.png", "0123456789abcdef"])
def test_unknown_images_are_404(emulator: Emulator, name: str) -> None:
    assert requests.get(f"{emulator.url}/images/{name}", timeout=20).status_code == 404
