"""What the chat replaces, without all that it keeps: FastAPI reads the model's stream with httpx and sends events on."""

import json
import os

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

app = FastAPI()
client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None))


@app.get("/healthz")
async def healthz():
    return {}


@app.post("/v1/chat/completions")
async def completions(request: Request):
    body = await request.json()

    async def events():
        async with client.stream("POST", os.environ["UPSTREAM"] + "/v1/chat/completions", json=body) as answer:
            async for line in answer.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                chunk = json.loads(line[6:])
                if chunk["choices"] and (text := chunk["choices"][0]["delta"].get("content")):
                    yield "event: delta\ndata: " + json.dumps({"text": text}) + "\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")
