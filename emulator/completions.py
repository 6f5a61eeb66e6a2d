"""Requests and answers in the words of OpenAI's completion and chat completion endpoints.

The tokens of a prompt are counted by a simple rule: token ids as they are, texts by their words
(what stands between blanks), at least one; of a chat the words of all messages. Output tokens are
the word `token`, as many as asked for: nothing ends an answer early, with or without `ignore_eos`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DEFAULT_MAX_TOKENS = {"text": 16, "chat": 128}
"""Output tokens where a request does not say how many: of text as OpenAI has it."""

_WORD = " token"


class BadRequestError(Exception):
    """A body that no such endpoint takes; the message names the field and what is allowed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A completion that was asked for.

    Attributes:
        chat: Whether it was asked as a chat.
        model: The model named.
        prompt_tokens: Tokens of the prompt.
        output_tokens: Tokens to make.
        stream: Whether tokens are sent one by one.
        usage: Whether a stream ends with the counts of tokens.
        usage_each: Whether every event of it has them.
    """

    chat: bool
    model: str
    prompt_tokens: int
    output_tokens: int
    stream: bool
    usage: bool
    usage_each: bool


def read_asked(body: bytes, *, chat: bool, model: str, max_model_tokens: int) -> Asked:
    """Return what a body asks for.

    Args:
        body: The body.
        chat: Whether it came to the endpoint of chats.
        model: The model that is served.
        max_model_tokens: Most tokens of a request, prompt and output.

    Raises:
        BadRequestError: It is not JSON, or asks for what no model could do.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadRequestError("the body is not a JSON object")
    named = document.get("model", model)
    if named != model:
        raise BadRequestError(f"model is {named!r} (allowed: {model})")
    if document.get("n", 1) != 1:
        raise BadRequestError(f"n is {document['n']!r} (allowed: 1)")
    prompt = _chat_tokens(document) if chat else _prompt_tokens(document.get("prompt"))
    kind = "chat" if chat else "text"
    output = document.get("max_completion_tokens")
    if output is None:
        output = document.get("max_tokens")
    if output is None:
        output = min(DEFAULT_MAX_TOKENS[kind], max(max_model_tokens - prompt, 1))
    if not isinstance(output, int) or isinstance(output, bool) or output < 1:
        raise BadRequestError(f"max_tokens is {output!r} (allowed: a whole number of 1 or more)")
    if prompt + output > max_model_tokens:
        raise BadRequestError(
            f"prompt of {prompt} and max_tokens of {output} tokens are {prompt + output} "
            f"(allowed: {max_model_tokens} together)"
        )
    stream = bool(document.get("stream"))
    options = document.get("stream_options") or {}
    if not isinstance(options, Mapping):
        raise BadRequestError("stream_options is not an object")
    each = bool(options.get("continuous_usage_stats"))
    usage = stream and bool(options.get("include_usage"))
    return Asked(chat, model, prompt, output, stream, usage, usage and each)


def _prompt_tokens(prompt: object) -> int:
    if isinstance(prompt, str):
        return max(len(prompt.split()), 1)
    if isinstance(prompt, list) and prompt:
        if all(isinstance(token, int) and not isinstance(token, bool) for token in prompt):
            return len(prompt)
        if len(prompt) == 1:
            return _prompt_tokens(prompt[0])
    raise BadRequestError("prompt is of no known kind (allowed: one text, or one list of ids)")


def _chat_tokens(document: Mapping[str, object]) -> int:
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("messages is missing (allowed: a list of one message or more)")
    words = 0
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise BadRequestError(f"messages[{index}] is not an object")
        words += _content_words(message.get("content"))
    return max(words, 1)


def _content_words(content: object) -> int:
    if isinstance(content, str):
        return len(content.split())
    if isinstance(content, Sequence):
        texts = (part.get("text") for part in content if isinstance(part, Mapping))
        return sum(len(text.split()) for text in texts if isinstance(text, str))
    return 0


class Answer:
    """Writes the answer to a request, whole or token by token."""

    def __init__(self, asked: Asked, name: str, created: int) -> None:
        """Begin.

        Args:
            asked: What was asked for.
            name: Identifier of the answer.
            created: Its time, in whole seconds of the Unix epoch.
        """
        self._asked = asked
        self._name = name
        self._created = created
        self._sent = 0
        self._plain = b"" if asked.usage_each else self._event(_WORD, None)

    def whole(self) -> bytes:
        """Return the answer as one document."""
        asked = self._asked
        text = _WORD * asked.output_tokens
        choice: dict[str, object] = {"index": 0, "finish_reason": "length", "logprobs": None}
        if asked.chat:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        kind = "chat.completion" if asked.chat else "text_completion"
        return _json(
            self._head(kind) | {"choices": [choice], "usage": self._usage(asked.output_tokens)}
        )

    def token(self) -> bytes:
        """Return the events of the next token."""
        self._sent += 1
        first = self._sent == 1 and self._asked.chat
        last = self._sent == self._asked.output_tokens
        if last or not self._plain:
            event = self._event(_WORD, "length" if last else None)
        else:
            event = self._plain
        return self._opening() + event if first else event

    def closing(self) -> bytes:
        """Return what ends a stream after its last token."""
        end = b"data: [DONE]\n\n"
        if not self._asked.usage:
            return end
        counts = self._chunk() | {"choices": [], "usage": self._usage(self._sent)}
        return b"data: " + _json(counts) + b"\n\n" + end

    def _opening(self) -> bytes:
        delta = {"role": "assistant", "content": ""}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        return b"data: " + _json(self._chunk() | {"choices": [choice]}) + b"\n\n"

    def _event(self, text: str, finish_reason: str | None) -> bytes:
        choice: dict[str, object] = {
            "index": 0,
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        if self._asked.chat:
            choice["delta"] = {"content": text}
        else:
            choice["text"] = text
        document = self._chunk() | {"choices": [choice]}
        if self._asked.usage_each:
            document["usage"] = self._usage(self._sent)
        return b"data: " + _json(document) + b"\n\n"

    def _chunk(self) -> dict[str, object]:
        return self._head("chat.completion.chunk" if self._asked.chat else "text_completion")

    def _head(self, kind: str) -> dict[str, object]:
        return {
            "id": self._name,
            "object": kind,
            "created": self._created,
            "model": self._asked.model,
        }

    def _usage(self, made: int) -> dict[str, object]:
        prompt = self._asked.prompt_tokens
        return {
            "prompt_tokens": prompt,
            "completion_tokens": made,
            "total_tokens": prompt + made,
        }


def error_body(message: str, kind: str, code: int) -> bytes:
    """Return an error as these endpoints tell it."""
    return _json({"error": {"message": message, "type": kind, "param": None, "code": code}})


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
