"""``generate_image()``, the image it gives, and its note in the history."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, strategies as st

from animus import AnimusClient, ApiConnectionError, ApiError, NotFoundError, ResponseDecodeError, ServerError, TokenSourceError
from animus.conversation.imaging import image_note
from animus.emulator import Emulator
from animus.resources.images import GeneratedImage
from tests.wired import IMAGE_PATH, ClientMaker, Heard, bodies, user, wire

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def client(make_client: ClientMaker) -> AnimusClient:
    return make_client(retry=0, chat={"history_size": 10})


# ---- making --------------------------------------------------------------------------------------------


def test_an_image_is_made(client: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(client)
    image = client.generate_image("a cat")
    assert bodies(emulator, IMAGE_PATH) == [{"prompt": "a cat"}]
    assert image.url.startswith(emulator.url)
    assert (str(image), image.prompt, image.raw) == (image.url, "a cat", {"output": [image.url]})
    assert heard.names == ["image_generation_start", "image_generation_complete"]
    start, complete = heard.events
    assert (start.prompt, complete.prompt, complete.image_url) == ("a cat", "a cat", image.url)
    assert start.conversation_id == complete.conversation_id
    assert start.chat_id == complete.chat_id == client.chat.chat_id


def test_an_image_is_changed(client: AnimusClient, emulator: Emulator) -> None:
    client.generate_image("in blue", "https://images.example/cat.png")
    assert bodies(emulator, IMAGE_PATH) == [{"prompt": "in blue", "input_image": "https://images.example/cat.png"}]
    assert client.chat.history[0].content == "<image description='Modified: in blue' />"


@pytest.mark.parametrize(
    "answer", [{"output": ["U", "V"]}, {"output": "U"}, {"outputs": ["U"]}, {"outputs": "U"}, {"output": [], "outputs": ["U"]}]
)
def test_all_documented_shapes_are_read(client: AnimusClient, emulator: Emulator, answer: Any) -> None:
    emulator.script([{"json": answer, "when": {"path": IMAGE_PATH}}])
    image = client.generate_image("a cat")
    assert (image.url, image.raw) == ("U", answer)


@pytest.mark.parametrize(
    "answer",
    [
        *({"json": {}}, {"json": []}, {"json": None}, {"json": "U"}, {"json": {"url": "U"}}),
        *({"json": {"output": value}} for value in ([], [{"url": "U"}], " ", 5)),
        *({"body": "U"}, {"body": ""}, {"status": 204, "body": ""}),
    ],
)
def test_an_answer_without_a_url_is_one_error(client: AnimusClient, emulator: Emulator, answer: Any) -> None:
    heard = Heard(client)
    emulator.script([{**answer, "when": {"path": IMAGE_PATH}}])
    with pytest.raises(ResponseDecodeError) as caught:
        client.generate_image("a cat")
    assert caught.value.status == answer.get("status", 200)
    assert heard.names == ["image_generation_start", "image_generation_error"]
    assert heard.events[1].error is caught.value
    assert len(client.chat.history) == 0


def test_failures_keep_their_class(client: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(client, "image_generation_error")
    emulator.arm(path=IMAGE_PATH, status=500)
    with pytest.raises(ServerError):
        client.generate_image("a cat")
    emulator.arm(path=IMAGE_PATH, reset=True)
    with pytest.raises(ApiConnectionError):
        client.generate_image("a cat")
    client.clear_auth_token()
    emulator.token_status = 401
    with pytest.raises(TokenSourceError):
        client.generate_image("a cat")
    assert [type(event.error) for event in heard.events] == [ServerError, ApiConnectionError, TokenSourceError]


@pytest.mark.parametrize("arguments", [("",), ("  ",), (None,), (5,), ("a cat", ""), ("a cat", " "), ("a cat", 5)])
def test_what_cannot_be_meant_is_refused(client: AnimusClient, emulator: Emulator, arguments: Any) -> None:
    heard = Heard(client)
    with pytest.raises(ValueError, match="must be a non-blank string"):
        client.generate_image(*arguments)
    assert (heard.events, len(emulator.requests)) == ([], 0)


def test_one_call_may_have_its_own_policy_and_limits(client: AnimusClient, emulator: Emulator) -> None:
    emulator.arm(path=IMAGE_PATH, status=503)
    client.generate_image("a cat", retry={"repeats": 1, "base": 0})
    emulator.arm(path=IMAGE_PATH, stall_after=0)
    with pytest.raises(ApiConnectionError):
        client.generate_image("a cat", timeouts=0.1)


# ---- the note in the history ---------------------------------------------------------------------------


def test_the_next_request_has_the_note(client: AnimusClient, emulator: Emulator) -> None:
    client.generate_image("a <think>cat</think> & 'dog' \"x\"")
    client.chat.send("Nice!")
    note = "<image description='a &lt;think&gt;cat&lt;/think&gt; &amp; &apos;dog&apos; &quot;x&quot;' />"
    assert wire(emulator) == [{"role": "assistant", "content": note}, user("Nice!")]


def test_without_history_there_is_no_note(make_client: ClientMaker) -> None:
    client = make_client()
    client.generate_image("a cat")
    assert client.chat.get_chat_history() == []


_PRINTABLE = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1)


@given(_PRINTABLE, st.booleans())
def test_the_note_is_well_formed_whatever_was_asked_for(prompt: str, modified: bool) -> None:
    content = image_note(prompt, modified=modified).content
    element = ElementTree.fromstring(content)
    assert (element.tag, list(element.attrib)) == ("image", ["description"])
    assert element.attrib["description"] == (f"Modified: {prompt}" if modified else prompt)


# ---- the image as a value ------------------------------------------------------------------------------


def test_an_image_is_fetched(client: AnimusClient, emulator: Emulator) -> None:
    assert client.generate_image("a cat").fetch().startswith(PNG)
    assert emulator.requests.last("image").headers["Accept"] == "image/*"


def test_no_token_goes_to_a_foreign_origin(client: AnimusClient, emulator: Emulator) -> None:
    with Emulator() as elsewhere:
        url = client.generate_image("a cat").url.replace(emulator.url, elsewhere.url)
        emulator.script([{"json": {"output": url}, "when": {"path": IMAGE_PATH}}])
        assert client.generate_image("a cat").fetch().startswith(PNG)
        assert elsewhere.requests.last("image").credential == "none"
    assert emulator.requests.last("api").credential == "jwt"


def test_an_image_that_is_gone(client: AnimusClient, emulator: Emulator, tmp_path: Path) -> None:
    emulator.script([{"json": {"output": f"{emulator.url}/images/gone.png"}, "when": {"path": IMAGE_PATH}}])
    image = client.generate_image("a cat")
    with pytest.raises(NotFoundError):
        image.fetch()
    with pytest.raises(ApiError):
        image.save(tmp_path / "cat.png")
    assert list(tmp_path.iterdir()) == []


def test_an_image_pickles_as_data(client: AnimusClient) -> None:
    image = client.generate_image("a cat")
    other = pickle.loads(pickle.dumps(image))
    assert other == image
    with pytest.raises(ValueError, match=r"download \.url yourself"):
        other.fetch()


def test_notebooks_show_it() -> None:
    image = GeneratedImage('https://a.example/1.png?a=1&b="', prompt='<script>"x"')
    assert image._repr_html_() == '<img src="https://a.example/1.png?a=1&amp;b=&quot;" alt="&lt;script&gt;&quot;x&quot;">'
    assert GeneratedImage("https://a.example/1.png", "a cat")._repr_markdown_() == "![a cat](https://a.example/1.png)"
    assert "https://a.example/1.png" in repr(GeneratedImage("https://a.example/1.png"))


# ---- saving --------------------------------------------------------------------------------------------


def test_an_image_is_saved(client: AnimusClient, tmp_path: Path) -> None:
    image = client.generate_image("a cat")
    path = image.save(tmp_path / "cat.png")
    assert path == tmp_path / "cat.png"
    assert path.read_bytes() == image.fetch()
    named = image.save(str(tmp_path))
    assert named == tmp_path / image.url.rpartition("/")[2]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["cat.png", named.name])


def test_saving_replaces_only_when_told_to(client: AnimusClient, emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"mine")
    image = client.generate_image("a cat")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        image.save(path)
    assert (path.read_bytes(), emulator.requests.count("image")) == (b"mine", 0)
    image.save(path, overwrite=True)
    assert path.read_bytes().startswith(PNG)


def test_a_file_that_appears_during_the_download_is_kept(client: AnimusClient, emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    image = client.generate_image("a cat")
    client.on("request_complete", lambda event: path.write_bytes(b"mine"))
    with pytest.raises(FileExistsError):
        image.save(path)
    assert path.read_bytes() == b"mine"
    assert os.listdir(tmp_path) == ["cat.png"]


def test_a_broken_download_leaves_the_old_file(client: AnimusClient, emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"mine")
    image = client.generate_image("a cat")
    emulator.arm(kind="image", tear_after=100, times=None)
    with pytest.raises(ApiConnectionError):
        image.save(path, overwrite=True)
    assert path.read_bytes() == b"mine"
    assert os.listdir(tmp_path) == ["cat.png"]


def test_two_who_save_at_once_do_not_mix(client: AnimusClient, tmp_path: Path) -> None:
    images = [client.generate_image(text) for text in ("a cat", "a dog")]
    contents = {image.fetch() for image in images}
    path = tmp_path / "it.png"
    outcomes: list[Any] = []

    def save(image: GeneratedImage) -> None:
        try:
            outcomes.append(image.save(path))
        except FileExistsError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=save, args=(image,)) for image in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcome == path for outcome in outcomes) == 1
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["it.png"]
