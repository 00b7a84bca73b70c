// openai.test.mjs - OpenAI's own client embeds against the mock: it asks for base64 by itself and decodes it
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const base = process.env.MOCK_OPENAI;
const client = (more = {}) => new OpenAI({ apiKey: "sk-contract", baseURL: `${base}/v1`, maxRetries: 0, ...more });
const control = (path, method = "GET", body) =>
  fetch(base + path, { method, body: body && JSON.stringify(body) }).then((r) => r.json());
const model = "text-embedding-3-small";
const length = (v) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

test.afterEach(() => control("/__faults", "DELETE"));

test("a string and many strings", async () => {
  const one = await client().embeddings.create({ model, input: "hello" });
  assert.equal(one.data[0].embedding.length, 1536);
  assert.ok(Math.abs(length(one.data[0].embedding) - 1) < 1e-5);
  const many = await client().embeddings.create({ model, input: ["hello", "you"], dimensions: 256 });
  assert.deepEqual(many.data.map((d) => [d.index, d.embedding.length]), [[0, 256], [1, 256]]);
  assert.ok(many.usage.total_tokens > 0);
});

test("float and base64 give the same numbers", async () => {
  const [packed, floats] = await Promise.all([
    client().embeddings.create({ model, input: "same" }),
    client().embeddings.create({ model, input: "same", encoding_format: "float" }),
  ]);
  floats.data[0].embedding.forEach((x, i) => assert.ok(Math.abs(x - packed.data[0].embedding[i]) < 1e-7));
});

test("models are listed", async () => {
  const names = [];
  for await (const m of client().models.list()) names.push(m.id);
  assert.ok(names.includes(model));
});

test("errors become the client's own classes", async () => {
  await assert.rejects(client({ apiKey: "wrong" }).embeddings.create({ model, input: "a" }), OpenAI.AuthenticationError);
  await assert.rejects(client().embeddings.create({ model: "none", input: "a" }), (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
  await assert.rejects(client().embeddings.create({ model, input: "" }), OpenAI.BadRequestError);
  await control("/__faults", "PUT", { quota: true });
  await assert.rejects(client().embeddings.create({ model, input: "a" }), (e) => e instanceof OpenAI.RateLimitError && e.code === "insufficient_quota" && e.requestID.startsWith("req_"));
});

test("the client's retries get through", async () => {
  await control("/__faults", "PUT", { rules: [{ fault: "status", status: 503, count: 1, retry_after: 0 }, { fault: "drop_before", count: 1 }] });
  const made = await client({ maxRetries: 3 }).embeddings.create({ model, input: "again" });
  assert.equal(made.data.length, 1);
});
