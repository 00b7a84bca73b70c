// llamacloud.test.mjs - LlamaCloud's own client parses against the mock (v2 and files); webhooks arrive as documented
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { test } from "node:test";
import { LlamaCloud, toFile } from "@llamaindex/llama-cloud";

const base = process.env.MOCK_LLAMAPARSE;
const client = (more = {}) => new LlamaCloud({ apiKey: "llx-contract", baseURL: base, maxRetries: 0, ...more });
const control = (path, method = "GET", body) =>
  fetch(base + path, { method, body: body && JSON.stringify(body) }).then((r) => r.json());
const how = { tier: "cost_effective", version: "latest" };
const quick = { pollingInterval: 0.05, maxInterval: 0.05 };
const file = (text, name = "a.md") => toFile(Buffer.from(text), name);

test.afterEach(() => control("/__faults", "DELETE"));

test("a file is parsed in one go", async () => {
  const result = await client().parsing.parse(
    { ...how, upload_file: await file("# Title\n\nsome words"), expand: ["markdown", "text", "items", "markdown_full", "usage"] }, quick);
  assert.equal(result.job.status, "COMPLETED");
  assert.equal(result.markdown.pages[0].markdown, "# Title\n\nsome words");
  assert.equal(result.text.pages[0].page_number, 1);
  assert.equal(result.items.pages[0].items[0].type, "heading");
  assert.equal(result.markdown_full, "# Title\n\nsome words");
  assert.equal(result.job.usage.credits, 3);
});

test("upload, parse by id, list, delete", async () => {
  const c = client();
  const made = await c.files.create({ file: await file("by its id", "b.md"), purpose: "parse" });
  assert.ok((await c.files.list()).items.some((f) => f.id === made.id));
  const job = await c.parsing.create({ ...how, file_id: made.id });
  assert.ok(["PENDING", "RUNNING"].includes(job.status));
  const done = await c.parsing.waitForCompletion(job.id, { expand: ["text_full"] }, quick);
  assert.equal(done.text_full, "by its id");
  assert.ok((await c.parsing.list()).items.some((j) => j.id === job.id));
  await c.files.delete(made.id);
  await assert.rejects(c.files.retrieve(made.id), LlamaCloud.NotFoundError);
});

test("failures become the client's errors", async () => {
  await assert.rejects(client({ apiKey: "wrong" }).parsing.list(), LlamaCloud.AuthenticationError);
  await assert.rejects(client().parsing.get("nobody"), LlamaCloud.NotFoundError);
  await assert.rejects(client().parsing.create({ tier: "none", version: "latest", source_url: "https://x.test/" }), LlamaCloud.UnprocessableEntityError);
  await control("/__faults", "PUT", { job_error: { code: "PDF_IS_PROTECTED" } });
  await assert.rejects(client().parsing.parse({ ...how, upload_file: await file("failing"), expand: ["text"] }, quick), /PDF_IS_PROTECTED/);
});

test("the client's retries get through", async () => {
  await control("/__faults", "PUT", { rules: [{ fault: "status", status: 429, count: 1 }, { fault: "status", status: 500, count: 1 }] });
  assert.ok((await client({ maxRetries: 3 }).parsing.create({ ...how, upload_file: await file("retried") })).id);
});

test("a webhook of a job is thin and signed", async () => {
  const received = [];
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (c) => chunks.push(c)).on("end", () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks) });
      response.end();
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const url = `http://127.0.0.1:${server.address().port}/hook`;
  const job = await client().parsing.create({ ...how, upload_file: await file("told of"),
    webhook_configurations: [{ webhook_url: url, webhook_events: ["parse.success"], webhook_output_format: "json", webhook_signing_secret: "shh" }] });
  for (let i = 0; i < 400 && received.length === 0; i++) await new Promise((next) => setTimeout(next, 25));
  server.close();
  assert.equal(received.length, 1);
  const event = JSON.parse(received[0].body);
  assert.deepEqual(event.data, { id: job.id, job_id: job.id });
  assert.equal(received[0].headers["lc-signature"], "sha256=" + createHmac("sha256", "shh").update(received[0].body).digest("hex"));
});
