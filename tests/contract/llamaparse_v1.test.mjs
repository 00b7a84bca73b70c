// llamaparse_v1.test.mjs - the older client's reader, which speaks v1
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { LlamaParseReader } from "llama-cloud-services";

const reader = (resultType) => new LlamaParseReader({ apiKey: "llx-contract", baseUrl: process.env.MOCK_LLAMAPARSE, resultType,
  checkInterval: 1, verbose: false });
const path = join(mkdtempSync(join(tmpdir(), "docmill-contract-")), "v1.md");
writeFileSync(path, "# Old\n\nways");

test("markdown, text and json", async () => {
  const [markdown, text, json] = await Promise.all(
    [reader("markdown").loadData(path), reader("text").loadData(path), reader("json").loadJson(path)]);
  assert.equal(markdown[0].text, "# Old\n\nways");
  assert.equal(text[0].text, "# Old\n\nways");
  assert.equal(json[0].pages[0].md, "# Old\n\nways");
  assert.equal(json[0].job_metadata.job_pages, 1);
});
