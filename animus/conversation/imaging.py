"""Images that belong to a conversation."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from xml.sax.saxutils import quoteattr

from animus.conversation.messages import ChatMessage
from animus.conversation.room import Room
from animus.events import Event, ImageGenerationComplete, ImageGenerationError, ImageGenerationStart
from animus.resources.images import GeneratedImage, generate_image


def image_note(prompt: str, *, modified: bool = False) -> ChatMessage:
    """Give what the history keeps of an image: a note the model can read, its text escaped."""
    prompt = f"Modified: {prompt}" if modified else prompt
    # JavaScript's note has single quotes; quoteattr escapes whatever the text holds
    escaped = quoteattr(prompt, {"'": "&apos;", '"': "&quot;"})[1:-1]
    return ChatMessage(role="assistant", content=f"<image description='{escaped}' />")


def image_events(
    room: Room, prompt: str, input_image_url: str | None, ids: dict[str, Any], *, note: bool = True, **options: Any
) -> Generator[Event, None, GeneratedImage]:
    """Have an image made, and noted in the history; give the events on the way and the image in the end.

    Emits ``image_generation_start``, then ``image_generation_complete`` or ``image_generation_error``, once.
    """
    yield room.say(ImageGenerationStart(prompt=prompt, **ids))
    try:
        image = generate_image(room.session, prompt, input_image_url, **options)
    except Exception as error:
        yield room.say(ImageGenerationError(prompt=prompt, error=error, **ids))
        raise
    if note:
        room.history.add([image_note(prompt, modified=input_image_url is not None)])
    yield room.say(ImageGenerationComplete(prompt=prompt, image_url=image.url, **ids))
    return image


def make_image(room: Room, prompt: str, input_image_url: str | None, ids: dict[str, Any], **options: Any) -> GeneratedImage:
    """Run :func:`image_events` to its end and give the image."""
    steps = image_events(room, prompt, input_image_url, ids, **options)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            image: GeneratedImage = end.value
            return image
