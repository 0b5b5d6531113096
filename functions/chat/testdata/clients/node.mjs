// OpenAI's Node client against Lectern: every check prints its name when it holds.
// The model's answers follow a script: the last message says which one is wanted.
import { createRequire } from 'node:module';
import process from 'node:process';

const require = createRequire(process.env.CLIENT + '/package.json');
const OpenAI = require('openai');

const baseURL = process.env.BASE_URL, apiKey = process.env.KEY;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const ask = (content, more = {}) => ({ model: 'lectern', messages: [{ role: 'user', content }], ...more });

function check(name, holds, what) {
  if (!holds) throw new Error(`${name}: ${JSON.stringify(what)}`);
  console.log('ok', name);
}

async function raises(name, kind, call, want = {}) {
  try {
    await call();
  } catch (e) {
    const same = Object.entries(want).every(([field, value]) => e[field] === value);
    check(name, e.constructor === kind && same, { kind: e.constructor.name, status: e.status, code: e.code, param: e.param, message: e.message });
    return e;
  }
  throw new Error(`${name}: nothing was thrown`);
}

async function text(stream, chunks = []) {
  let all = '';
  for await (const chunk of stream) {
    chunks.push(chunk);
    all += chunk.choices[0]?.delta.content ?? '';
  }
  return all;
}

const HELLO = 'Hello, wörld 🦉!';
const look = { type: 'function', function: { name: 'look', parameters: { type: 'object', properties: { bird: { type: 'string' } } } } };

const names = [];
for await (const m of client.models.list()) names.push(m.id);
check('models.list', names[0] === 'lectern' && names.length === 2, names);
check('models.retrieve', (await client.models.retrieve(names[1])).id === names[1]);

let r = await client.chat.completions.create(ask('hello'));
check('create', r.choices[0].message.content === HELLO && r.choices[0].finish_reason === 'stop' && r.object === 'chat.completion', r);
check('usage', r.usage.prompt_tokens === 11 && r.usage.completion_tokens === 7 && r.usage.total_tokens === 18, r.usage);
check('model', r.model === 'small' && r._request_id, r);
r = await client.chat.completions.create({
  model: 'lectern', stop: ['END'], seed: 7, max_completion_tokens: 9, n: 1, user: 'ann', top_p: null,
  messages: [{ role: 'system', content: 'One.' }, { role: 'developer', content: [{ type: 'text', text: 'Two.' }] }, { role: 'user', content: [{ type: 'text', text: 'echo' }] }],
});
check('system and developer', r.choices[0].message.content === "system:One. system:Two. user:echo stop=['END'] seed=7 most=9", r);
check('max_tokens', (await client.chat.completions.create(ask('length', { max_tokens: 3 }))).choices[0].finish_reason === 'length');
r = await client.chat.completions.create(ask('refuse'));
check('refusal', r.choices[0].message.refusal === 'No.' && r.choices[0].message.content === null, r);

let chunks = [];
check('stream', await text(await client.chat.completions.create(ask('hello', { stream: true })), chunks) === HELLO && chunks.at(-1).choices[0].finish_reason === 'stop', chunks);
check('stream without usage', chunks.every((c) => !c.usage), chunks);
chunks = [];
await text(await client.chat.completions.create(ask('hello', { stream: true, stream_options: { include_usage: true } })), chunks);
check('stream with usage', chunks.at(-1).choices.length === 0 && chunks.at(-1).usage.total_tokens === 18 && chunks.slice(0, -1).every((c) => c.usage === null), chunks);
check('stream helper', await client.chat.completions.stream(ask('hello')).finalContent() === HELLO);
chunks = [];
await raises('broken stream', OpenAI.APIError, async () => text(await client.chat.completions.create(ask('broken', { stream: true })), chunks));
check('broken stream is not complete', chunks.length > 0 && chunks.every((c) => !c.choices[0].finish_reason), chunks);
const aborted = await client.chat.completions.create(ask('endless node', { stream: true }));
for await (const _ of aborted) {
  aborted.controller.abort();
  break;
}
check('abort', true);

r = await client.chat.completions.create(ask('tools', { tools: [look], tool_choice: { type: 'function', function: { name: 'look' } } }));
const calls = r.choices[0].message.tool_calls;
check('tools', r.choices[0].finish_reason === 'tool_calls' && calls.map((c) => c.function.arguments).join() === '{"bird":"barn owl"},{"bird":"rook"}', r);
r = await client.chat.completions.create({
  model: 'lectern', tools: [look],
  messages: [{ role: 'user', content: 'tools' }, r.choices[0].message, ...calls.map((c) => ({ role: 'tool', tool_call_id: c.id, content: 'seen' }))],
});
check('tools answered', r.choices[0].message.content === 'seen call_1 and call_2', r);
const final = (await client.chat.completions.stream(ask('tools', { tools: [look] })).finalChatCompletion()).choices[0];
check('tools streamed', final.message.tool_calls.map((c) => c.id + c.function.arguments).join() === 'call_1{"bird":"barn owl"},call_2{"bird":"rook"}', final);

const format = { type: 'json_schema', json_schema: { name: 'bird', strict: true, schema: { type: 'object', properties: { name: { type: 'string' }, wings: { type: 'integer' } }, required: ['name', 'wings'], additionalProperties: false } } };
r = await client.chat.completions.parse(ask('bird', { response_format: format }));
check('parse', JSON.parse(r.choices[0].message.content).wings === 2, r);

const key = (apiKey, more = {}) => new OpenAI({ baseURL, apiKey, maxRetries: 0, ...more });
await raises('wrong key', OpenAI.AuthenticationError, () => key('cred_1.wrong').models.list(), { status: 401, code: 'invalid_api_key' });
await raises('wrong scope', OpenAI.PermissionDeniedError, () => key(process.env.READER_KEY).models.list(), { status: 403 });
await raises('no such model', OpenAI.NotFoundError, () => client.chat.completions.create({ ...ask('hello'), model: 'gpt-0' }), { status: 404, code: 'model_not_found', param: 'model' });
await raises('image', OpenAI.BadRequestError, () => client.chat.completions.create(ask([{ type: 'image_url', image_url: { url: 'data:x' } }])), { status: 400, param: 'messages[0].content[0].type' });
await raises('n', OpenAI.BadRequestError, () => client.chat.completions.create(ask('hello', { n: 2 })), { status: 400, param: 'n' });
await raises('too large', OpenAI.APIError, () => client.chat.completions.create(ask('x'.repeat(1 << 20))), { status: 413 });
await raises('no budget', OpenAI.APIError, () => key(process.env.POOR_KEY, { maxRetries: 5 }).chat.completions.create(ask('hello')), { status: 402, code: 'insufficient_quota' });
await raises('limit', OpenAI.RateLimitError, () => client.chat.completions.create(ask('busy')), { status: 429, code: 'rate_limit_exceeded' });
check('limit retried', (await client.chat.completions.create(ask('busy at first node'), { maxRetries: 2 })).choices[0].message.content === 'Now.');
await raises('our fault', OpenAI.InternalServerError, () => client.chat.completions.create(ask('explode')), { status: 500 });
await raises('model down', OpenAI.InternalServerError, () => client.chat.completions.create(ask('down')), { status: 503 });
await raises('timeout', OpenAI.APIConnectionTimeoutError, () => client.chat.completions.create(ask('endless'), { timeout: 300 }));
