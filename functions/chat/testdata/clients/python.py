"""OpenAI's Python client against Lectern: every check prints its name when it holds.

The model's answers follow a script: the last message says which one is wanted.
"""

import asyncio
import os
import time

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

URL, KEY = os.environ["BASE_URL"], os.environ["KEY"]
client = OpenAI(base_url=URL, api_key=KEY, max_retries=0)


def ask(text, **more):
    return dict(model="lectern", messages=[{"role": "user", "content": text}], **more)


def check(name, holds, what=""):
    if not holds:
        raise AssertionError(f"{name}: {what}")
    print("ok", name, flush=True)


def raises(name, kind, call, **want):
    try:
        call()
    except openai.APIError as e:
        got = {field: getattr(e, field, None) for field in want}
        check(name, type(e) is kind and got == want, f"{e!r} {got}")
        return e
    raise AssertionError(f"{name}: nothing was raised")


def basics():
    names = [m.id for m in client.models.list()]
    check("models.list", names[0] == "lectern" and len(names) == 2, names)
    check("models.retrieve", client.models.retrieve(names[1]).id == names[1])

    r = client.chat.completions.create(**ask("hello"))
    choice = r.choices[0]
    check("create", (choice.message.content, choice.finish_reason, choice.message.role, r.object) == ("Hello, wörld 🦉!", "stop", "assistant", "chat.completion"), r)
    check("usage", (r.usage.prompt_tokens, r.usage.completion_tokens, r.usage.total_tokens) == (11, 7, 18), r.usage)
    check("model", r.model == "small" and r.id.startswith("chatcmpl-") and abs(r.created - time.time()) < 600, r)
    check("request id", bool(r._request_id))

    r = client.chat.completions.create(
        model="lectern", user="ann", store=False, metadata={"a": "b"}, n=1, seed=7, temperature=0.5, top_p=None, stop=["END"], max_completion_tokens=9,
        messages=[
            {"role": "system", "content": "One."},
            {"role": "developer", "content": [{"type": "text", "text": "Two."}]},
            {"role": "user", "content": [{"type": "text", "text": "echo"}], "name": "ann"},
        ],
    )
    check("system and developer", r.choices[0].message.content == "system:One. system:Two. user:echo stop=['END'] seed=7 most=9", r.choices[0].message.content)
    r = client.chat.completions.create(**ask("length", max_tokens=3))
    check("max_tokens", r.choices[0].finish_reason == "length", r)
    r = client.chat.completions.create(**ask("refuse"))
    check("refusal", r.choices[0].message.refusal == "No." and r.choices[0].message.content is None, r)


def streams():
    chunks = list(client.chat.completions.create(**ask("hello", stream=True)))
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    check("stream", text == "Hello, wörld 🦉!" and chunks[-1].choices[0].finish_reason == "stop" and chunks[0].choices[0].delta.role == "assistant", chunks)
    check("stream without usage", all(c.usage is None for c in chunks))
    chunks = list(client.chat.completions.create(**ask("hello", stream=True, stream_options={"include_usage": True})))
    check("stream with usage", chunks[-1].choices == [] and chunks[-1].usage.total_tokens == 18 and all(c.usage is None for c in chunks[:-1]), chunks[-1])
    with client.chat.completions.stream(**ask("hello")) as s:
        s.until_done()
        check("stream helper", s.get_final_completion().choices[0].message.content == "Hello, wörld 🦉!")

    got = []

    def broken():
        for c in client.chat.completions.create(**ask("broken", stream=True)):
            got.append(c)

    raises("broken stream", openai.APIError, broken)
    check("broken stream is not complete", got and all(c.choices[0].finish_reason is None for c in got) and got[-1].choices[0].delta.content, got)

    stream = client.chat.completions.create(**ask("endless python", stream=True))
    next(iter(stream))
    stream.close()
    check("abort", True)


LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"bird": {"type": "string"}}, "required": ["bird"], "additionalProperties": False}, "strict": True}}


def tools():
    r = client.chat.completions.create(**ask("tools", tools=[LOOK], tool_choice="auto", parallel_tool_calls=True))
    calls = r.choices[0].message.tool_calls
    check("tools", r.choices[0].finish_reason == "tool_calls" and [(c.id, c.type, c.function.name, c.function.arguments) for c in calls] == [
        ("call_1", "function", "look", '{"bird":"barn owl"}'), ("call_2", "function", "look", '{"bird":"rook"}')], r)
    messages = [{"role": "user", "content": "tools"}, r.choices[0].message]
    messages += [{"role": "tool", "tool_call_id": c.id, "content": "seen"} for c in calls]
    r = client.chat.completions.create(model="lectern", messages=messages, tools=[LOOK])
    check("tools answered", r.choices[0].message.content == "seen call_1 and call_2", r)
    with client.chat.completions.stream(**ask("tools", tools=[LOOK])) as s:
        s.until_done()
        final = s.get_final_completion().choices[0]
    check("tools streamed", [c.function.arguments for c in final.message.tool_calls] == ['{"bird":"barn owl"}', '{"bird":"rook"}'] and final.finish_reason == "tool_calls", final)


class Bird(BaseModel):
    name: str
    wings: int


def formats():
    r = client.chat.completions.parse(**ask("bird", response_format=Bird))
    check("parse", r.choices[0].message.parsed == Bird(name="Tyto alba", wings=2), r)
    r = client.chat.completions.create(**ask("bird", response_format={"type": "json_object"}))
    check("json_object", r.choices[0].message.content.startswith("{"), r)


def errors():
    raises("wrong key", openai.AuthenticationError, lambda: OpenAI(base_url=URL, api_key="cred_1.wrong", max_retries=0).models.list(), status_code=401, code="invalid_api_key")
    raises("wrong scope", openai.PermissionDeniedError, lambda: OpenAI(base_url=URL, api_key=os.environ["READER_KEY"], max_retries=0).models.list(), status_code=403)
    raises("no such model", openai.NotFoundError, lambda: client.chat.completions.create(**(ask("hello") | {"model": "gpt-0"})), status_code=404, code="model_not_found", param="model")
    raises("image", openai.BadRequestError, lambda: client.chat.completions.create(model="lectern", messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]),
           status_code=400, type="invalid_request_error", param="messages[0].content[0].type")
    raises("n", openai.BadRequestError, lambda: client.chat.completions.create(**ask("hello", n=2)), status_code=400, param="n")
    raises("unknown argument", openai.BadRequestError, lambda: client.chat.completions.create(**ask("hello", extra_body={"best_of": 3})), status_code=400, param="best_of")
    raises("too large", openai.APIStatusError, lambda: client.chat.completions.create(**ask("x" * (1 << 20))), status_code=413)
    poor = OpenAI(base_url=URL, api_key=os.environ["POOR_KEY"], max_retries=5)
    began = time.monotonic()
    raises("no budget", openai.APIStatusError, lambda: poor.chat.completions.create(**ask("hello")), status_code=402, code="insufficient_quota")
    check("no budget is not retried", time.monotonic() - began < 5)
    raises("limit", openai.RateLimitError, lambda: client.chat.completions.create(**ask("busy")), status_code=429, code="rate_limit_exceeded")
    r = client.with_options(max_retries=2).chat.completions.with_raw_response.create(**ask("busy at first python"))
    check("limit retried", r.retries_taken == 1 and r.parse().choices[0].message.content == "Now.", r.retries_taken)
    raises("our fault", openai.InternalServerError, lambda: client.chat.completions.create(**ask("explode")), status_code=500)
    raises("model down", openai.InternalServerError, lambda: client.chat.completions.create(**ask("down")), status_code=503)
    raises("timeout", openai.APITimeoutError, lambda: client.with_options(timeout=0.3).chat.completions.create(**ask("endless", stream=False)))


async def asynchronous():
    async with AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0) as c:
        r, names = await asyncio.gather(c.chat.completions.create(**ask("hello")), c.models.list())
        text = ""
        async for chunk in await c.chat.completions.create(**ask("hello", stream=True)):
            text += chunk.choices[0].delta.content or ""
        check("async", r.choices[0].message.content == text == "Hello, wörld 🦉!" and names.data)


for part in (basics, streams, tools, formats, errors):
    part()
asyncio.run(asynchronous())
