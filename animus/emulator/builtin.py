"""What the emulator says by itself: always the same to the same conversation.

====================================  =================================================================================================
the user's last message               the answer
====================================  =================================================================================================
any text                              a few sentences that quote it (a greeting, thanks, "my name is …", "tell me about …" are understood)
mentions a given tool, or "weather"   a call of that tool; after the tool's message, a text with its result
for a tool of that name
asks for a picture                    with ``check_image_generation``: ``image_prompt``
asks for a story, or more             with ``autoTurn``: ``next`` is true; the follow-up then ends it
names a category of the moderation    ``compliance_violations`` with that category (``drug_use``: "drug use" will do)
====================================  =================================================================================================

``reasoning`` adds a thought; ``autoTurn`` splits the text at its lines, or else its sentences; ``stop``, ``max_tokens`` (words) and ``n``
are heeded.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import replace

from animus.emulator.answer import Answer, count_tokens, usage_of
from animus.emulator.chat_request import ChatRequest, text_of
from animus.emulator.toolplay import chosen_calls, tool_report

CATEGORIES = ("pedophilia", "beastiality", "murder", "rape", "incest", "gore", "prostitution", "drug_use")

_GREETING = re.compile(r"\s*(hi|hello|hey|good (morning|afternoon|evening))\b", re.IGNORECASE)
_THANKS = re.compile(r"\b(thanks|thank you)\b", re.IGNORECASE)
_NAME = re.compile(r"\bmy name is (\w+)", re.IGNORECASE)
_NAME_QUESTION = re.compile(r"\bmy name\b.*\?", re.IGNORECASE)
_ABOUT = re.compile(r"\btell me (?:something )?about (.+?)[.!?\s]*$", re.IGNORECASE | re.DOTALL)
_STORY = re.compile(r"\b(story|tell me more|go on|continue)\b", re.IGNORECASE)
_PICTURE = re.compile(r"\b(draw|paint|sketch|picture|photo|image|selfie)\b", re.IGNORECASE)
_PICTURE_WORDS = re.compile(
    r"^(.*?\b(draw|paint|sketch)\b( me)?|.*?\b(picture|photo|image|selfie)\b( (of|with|showing))?)\s*", re.IGNORECASE | re.DOTALL
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"\s*\S+")
_LONGEST_QUOTE = 80

_STORY_TEXT = (
    "A small fox lived at the edge of a quiet forest.\n"
    "Every evening it told the moon what it had seen that day.\n"
    "One night, the moon answered."
)
_STORY_END = "And from then on, the two of them talked until the morning came."
_OPENINGS = ("That is a good question.", "Let me think about that.", "I am glad you bring that up.")
_CLOSINGS = (
    "I am the Animus emulator, so I always give the same answer to the same words.",
    "A real model would say more; the emulator only shows that your words arrived.",
    "Ask me to draw something, to tell a story, or give me tools to call.",
)


def answers_to(request: ChatRequest) -> list[Answer]:
    """Give the built-in answers, one for each choice that was asked for."""
    calls = chosen_calls(request)
    if calls:
        first = Answer(tool_calls=calls, finish_reason="tool_calls")
    else:
        first = _spoken(request)
    if request.reasoning:
        first = replace(first, reasoning=f'The user says "{_quote(request.user_text)}". A short, friendly answer will do.')
    if request.compliance:
        first = replace(first, compliance_violations=violations_in(request.user_text))
    answers = [_version(first, number) for number in range(1, request.choices + 1)]
    prompt = sum(count_tokens(text_of(message)) for message in request.messages)
    said = sum(count_tokens(answer.content or "") + 8 * len(answer.tool_calls or ()) for answer in answers)
    return [replace(answer, usage=usage_of(prompt, said)) for answer in answers]


def turns_of(text: str) -> list[str]:
    """Split a text at its lines, or if it has one only, at its sentences."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines if len(lines) > 1 else [part for part in _SENTENCE.split(text.strip()) if part]


def violations_in(text: str) -> list[str]:
    """Give the categories that a text names."""
    text = text.lower().replace("_", " ")
    return [category for category in CATEGORIES if re.search(rf"\b{category.replace('_', ' ')}\b", text)]


def image_prompt_of(text: str) -> str | None:
    """Give what is to be on the picture that a text asks for, or None if it asks for none."""
    if not _PICTURE.search(text):
        return None
    return _PICTURE_WORDS.sub("", text, count=1).strip(" .!?") or text.strip()


def _spoken(request: ChatRequest) -> Answer:
    content, finish_reason = _cut(_text_for(request), request)
    answer = Answer(content=content, finish_reason=finish_reason)
    asks_anew = request.last["role"] == "user"
    if request.auto_turn:
        answer = replace(answer, turns=turns_of(content), next=asks_anew and bool(_STORY.search(request.user_text)))
    if request.check_image_generation and asks_anew:
        answer = replace(answer, image_prompt=image_prompt_of(request.user_text))
    return answer


def _text_for(request: ChatRequest) -> str:
    text = request.user_text
    if request.last["role"] == "tool":
        return tool_report(request)
    if request.last["role"] != "user":  # a follow-up: the client asks for more without a word of the user's
        return _STORY_END if _STORY.search(text) else "One more thing: everything you see here runs on your own machine."
    if image_prompt_of(text):
        return f"Here is your picture: {image_prompt_of(text)}."
    if _STORY.search(text):
        return _STORY_TEXT
    return _small_talk(text, request.user_texts[:-1]) or _echo(text, request.user_texts[:-1])


def _small_talk(text: str, earlier: list[str]) -> str | None:
    names = [match.group(1) for said in [*earlier, text] for match in _NAME.finditer(said)]
    if _NAME_QUESTION.search(text):
        return f"Your name is {names[-1]}." if names else "You have not told me your name yet."
    if _NAME.search(text):
        return f"Nice to meet you, {names[-1]}! I will remember your name as long as you send me our conversation."
    if _GREETING.match(text) and count_tokens(text) <= 4:
        return "Hello! I am the Animus emulator, a stand-in for the platform on your own machine. What can I do for you?"
    if _THANKS.search(text) and count_tokens(text) <= 6:
        return "You are welcome! Is there anything else I can do for you?"
    about = _ABOUT.search(text)
    if about:
        return (
            f"There is much to say about {_quote(about.group(1))}, and a real model would know it. "
            "I am the emulator: I show how an answer arrives, piece by piece. Ask the same again, and you will read the same words."
        )
    return None


def _echo(text: str, earlier: list[str]) -> str:
    number = zlib.crc32(text.encode("utf-8", "surrogatepass"))
    before = f' Before that, you said "{_quote(earlier[-1])}".' if earlier else ""
    opening = _OPENINGS[number % len(_OPENINGS)] if text.rstrip().endswith("?") else "I see."
    return f'{opening} You said "{_quote(text)}".{before} {_CLOSINGS[number // 7 % len(_CLOSINGS)]}'


def _quote(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[: _LONGEST_QUOTE - 1]}…"


def _cut(text: str, request: ChatRequest) -> tuple[str, str]:
    ends = [place for stop in request.stop if (place := text.find(stop)) >= 0]
    text = text[: min(ends)] if ends else text
    words = _WORD.findall(text)
    if request.max_tokens is not None and len(words) > request.max_tokens:
        return "".join(words[: request.max_tokens]), "length"
    return text, "stop"


def _version(answer: Answer, number: int) -> Answer:
    if number == 1 or answer.content is None:
        return answer
    return replace(answer, content=f"{answer.content} (Version {number}.)")
