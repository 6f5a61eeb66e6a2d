"""Load over HTTP: sends the requests of a load at their times, and times the answers.

An open loop: requests go when they are due, whether or not earlier ones are answered. Every
request has a connection of its own; the tokens of its stream are timed as they come in.
"""

from __future__ import annotations

import asyncio
import json
import math
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from emulator.load_phases import Load, LoadRequest

_LINE_BYTES = 2**20
_LATE_S = 0.05


@dataclass(frozen=True, slots=True)
class Target:
    """A server that takes completions.

    Attributes:
        host: Its name or address.
        port: Its port.
        path: What stands before `/v1/completions`.
        secure: Whether it is spoken to by TLS.
        model: The model to ask for.
        key: Bearer token; empty for none.
    """

    host: str
    port: int
    path: str = ""
    secure: bool = False
    model: str = ""
    key: str = ""

    @classmethod
    def of(cls, url: str, model: str = "", key: str = "") -> Target:
        """Return the target that a URL names.

        Raises:
            ValueError: It is no http or https URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// or https:// URL")
        secure = parts.scheme == "https"
        path = parts.path.rstrip("/").removesuffix("/v1")
        return cls(parts.hostname, parts.port or (443 if secure else 80), path, secure, model, key)


@dataclass(slots=True)
class Sent:
    """What became of a request that was sent; times in seconds from the start of the load.

    Attributes:
        asked: The request.
        target: Index of the server that it went to.
        sent_s: When it went.
        first_s: When its first token came; NaN where none did.
        end_s: When its last token came, or it failed.
        tokens: Output tokens that came.
        error: Why it failed; empty where it did not.
    """

    asked: LoadRequest
    target: int
    sent_s: float = math.nan
    first_s: float = math.nan
    end_s: float = math.nan
    tokens: int = 0
    error: str = ""

    @property
    def done(self) -> bool:
        """Whether all its tokens came."""
        return not self.error

    @property
    def ttft_ms(self) -> float:
        """Time to first token."""
        return (self.first_s - self.sent_s) * 1000.0

    @property
    def itl_ms(self) -> float:
        """Mean time between its tokens; NaN where there were no two."""
        if self.tokens < 2:
            return math.nan
        return (self.end_s - self.first_s) * 1000.0 / (self.tokens - 1)

    @property
    def e2e_ms(self) -> float:
        """Time to its end."""
        return (self.end_s - self.sent_s) * 1000.0


@dataclass(slots=True)
class HttpLoad:
    """A load that is sent to servers.

    Attributes:
        load: The requests.
        targets: The servers, in turn.
        most: Requests at most; the rest of the load is not sent.
        timeout_s: Longest time of a request.
        stream: Whether tokens are streamed; without, only the ends of requests are timed.
        sent: What was sent so far.
        late: Requests that went later than 50 ms after their time: the sender was too slow.
    """

    load: Load
    targets: tuple[Target, ...]
    most: int
    timeout_s: float = 600.0
    stream: bool = True
    sent: list[Sent] = field(default_factory=list)
    late: int = 0

    async def run(self, on_progress: Callable[[float], None] | None = None) -> None:
        """Send everything, and wait for the answers.

        Args:
            on_progress: Called now and then with the seconds since the start.
        """
        start_s = time.monotonic()
        running: set[asyncio.Task[None]] = set()
        for number, asked in enumerate(self.load.requests()):
            if number >= self.most:
                break
            while (wait_s := start_s + asked.at_s - time.monotonic()) > 0:
                await asyncio.sleep(min(wait_s, 1.0))
                if on_progress is not None:
                    on_progress(time.monotonic() - start_s)
            self.late += wait_s < -_LATE_S
            record = Sent(asked, number % len(self.targets))
            self.sent.append(record)
            task = asyncio.create_task(self._one(record, start_s))
            running.add(task)
            task.add_done_callback(running.discard)
        while running:
            await asyncio.wait(running, timeout=1.0)
            if on_progress is not None:
                on_progress(time.monotonic() - start_s)

    async def _one(self, record: Sent, start_s: float) -> None:
        record.sent_s = time.monotonic() - start_s
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._exchange(record, start_s)
        except TimeoutError:
            record.error = "timeout"
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            record.error = record.error or f"{type(error).__name__}: {error}".rstrip(": ")
        if record.error or math.isnan(record.end_s):
            record.end_s = time.monotonic() - start_s
        if not record.error and record.tokens < record.asked.output_tokens:
            record.error = f"the answer ended after {record.tokens} tokens"

    async def _exchange(self, record: Sent, start_s: float) -> None:
        target = self.targets[record.target]
        body = json.dumps(self._body(record.asked, target)).encode()
        reader, writer = await asyncio.open_connection(
            target.host,
            target.port,
            ssl=ssl.create_default_context() if target.secure else None,
            limit=_LINE_BYTES,
        )
        try:
            writer.write(_head(target, len(body)) + body)
            await writer.drain()
            status, chunked = await _answer_head(reader)
            lines = _chunked_lines(reader) if chunked else _plain_lines(reader)
            if status != 200:
                text = b"".join([line async for line in lines]).decode(errors="replace")
                record.error = f"HTTP {status}: {_message(text)}"
            elif self.stream:
                await _read_stream(lines, record, start_s)
            else:
                document = json.loads(b"".join([line async for line in lines]))
                record.tokens = int(document["usage"]["completion_tokens"])
                record.end_s = time.monotonic() - start_s
        finally:
            writer.close()

    def _body(self, asked: LoadRequest, target: Target) -> dict[str, object]:
        body: dict[str, object] = {
            "model": target.model,
            "prompt": " ".join(["word"] * asked.prompt_tokens),
            "max_tokens": asked.output_tokens,
            "ignore_eos": True,
            "stream": self.stream,
        }
        if self.stream:
            body["stream_options"] = {"include_usage": True}
        return body


def _head(target: Target, length: int) -> bytes:
    lines = [
        f"POST {target.path}/v1/completions HTTP/1.1",
        f"Host: {target.host}:{target.port}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "Connection: close",
        *([f"Authorization: Bearer {target.key}"] if target.key else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _answer_head(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Return the status of an answer, and whether its body comes in chunks."""
    first = (await reader.readline()).split()
    if len(first) < 2 or not first[0].startswith(b"HTTP/") or not first[1].isdigit():
        raise EOFError("the server closed the connection")
    chunked = False
    while (line := (await reader.readline()).strip().lower()) != b"":
        chunked |= line.startswith(b"transfer-encoding:") and b"chunked" in line
    return int(first[1]), chunked


async def _plain_lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while line := await reader.readline():
        yield line


async def _chunked_lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the lines of a body in chunks (RFC 9112, 7.1)."""
    rest = b""
    while True:
        text = (await reader.readline()).split(b";")[0].strip()
        if not text:
            raise EOFError("the server broke off the answer")
        size = int(text, 16)
        if size == 0:
            break
        rest += (await reader.readexactly(size + 2))[:-2]
        *lines, rest = rest.split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


async def _read_stream(lines: AsyncIterator[bytes], record: Sent, start_s: float) -> None:
    """Time the tokens of a stream of events."""
    async for line in lines:
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        document = json.loads(data)
        if usage := document.get("usage"):
            record.tokens = int(usage["completion_tokens"])
        choices = document.get("choices")
        if choices and choices[0].get("text"):
            now_s = time.monotonic() - start_s
            if math.isnan(record.first_s):
                record.first_s = now_s
            record.end_s = now_s
            if not usage:
                record.tokens += 1


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200]
