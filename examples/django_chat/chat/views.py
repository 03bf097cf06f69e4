"""The chat page, its messages, answers as server-sent events, and the token endpoint."""

from __future__ import annotations

import json

from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from chat import services
from chat.replies import LONGEST_TEXT, STREAM_HEADERS, Entry, begin, read_question, reply_events, shown_entries
from chat.sessions import conversation_of


@require_GET
@login_required
def index(request: HttpRequest) -> HttpResponse:
    """Show the page."""
    if conversation_of(request) is None:  # somebody deleted it; a login makes a new one
        logout(request)
        return redirect("login")
    return render(request, "chat/chat.html", {"longest_text": LONGEST_TEXT})


@require_GET
def messages(request: HttpRequest) -> HttpResponse:
    """Give what was said so far."""
    conversation = conversation_of(request)
    if conversation is None:
        return _nobody()
    return JsonResponse(shown_entries(conversation.entries()), safe=False)


@require_POST
def chat(request: HttpRequest) -> HttpResponseBase:
    """Say something, and stream what is said in answer."""
    conversation = conversation_of(request)
    if conversation is None:
        return _nobody()
    try:
        question = read_question(json.loads(request.body))
    except json.JSONDecodeError:
        return JsonResponse({"error": "That is not a message."}, status=400)
    except ValueError as error:
        return JsonResponse({"error": str(error)}, status=400)

    def save(entries: list[Entry]) -> None:
        conversation.add([entry.to_json() for entry in entries])

    events = reply_events(begin(services.client(), conversation.entries()), question, save)
    return StreamingHttpResponse(events, content_type="text/event-stream", headers=STREAM_HEADERS)


@csrf_exempt  # it looks at the origin itself
def hand_out_token(request: HttpRequest) -> HttpResponseBase:
    """Hand out a token for who is logged in."""
    return services.token_view()(request)


def _nobody() -> HttpResponse:
    return JsonResponse({"error": "Please log in."}, status=401)
