// storage.test.mjs - Supabase's own storage client and AWS's S3 client against the storage mock
import assert from "node:assert/strict";
import { test } from "node:test";
import { StorageClient } from "@supabase/storage-js";
import { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, DeleteObjectCommand, DeleteObjectsCommand,
  GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client, UploadPartCommand,
} from "@aws-sdk/client-s3";

const base = process.env.MOCK_SUPABASE;
const bucket = new StorageClient(`${base}/storage/v1`, { apikey: "k", Authorization: "Bearer k" }).from("docmill");
const s3 = (more = {}) => new S3Client({ endpoint: `${base}/storage/v1/s3`, region: "us-east-1", forcePathStyle: true, maxAttempts: 1,
  requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED",
  credentials: { accessKeyId: "docmill-test", secretAccessKey: "docmill-test-secret" }, ...more });
const at = (Key, more = {}) => ({ Bucket: "docmill", Key, ...more });
const text = async (r) => r.Body.transformToString();

test("supabase: upload, download, list, sign, remove", async () => {
  const up = await bucket.upload("u/one.txt", Buffer.from("first"), { contentType: "text/plain", upsert: true });
  assert.deepEqual([up.error, up.data.path, up.data.fullPath], [null, "u/one.txt", "docmill/u/one.txt"]);
  assert.equal(await (await bucket.download("u/one.txt")).data.text(), "first");
  assert.ok((await bucket.upload("u/one.txt", Buffer.from("again"))).error);
  assert.equal((await bucket.update("u/one.txt", Buffer.from("second"))).error, null);
  const listed = await bucket.list("u");
  assert.deepEqual(listed.data.map((o) => [o.name, o.metadata.size]), [["one.txt", 6]]);
  const signed = await bucket.createSignedUrl("u/one.txt", 60);
  assert.equal(await (await fetch(signed.data.signedUrl)).text(), "second");
  const to = await bucket.createSignedUploadUrl("u/two.txt");
  assert.equal((await bucket.uploadToSignedUrl("u/two.txt", to.data.token, Buffer.from("by token"))).error, null);
  assert.equal((await bucket.exists("u/two.txt")).data, true);
  assert.equal((await bucket.info("u/two.txt")).data.size, 8);
  assert.deepEqual((await bucket.remove(["u/one.txt", "u/two.txt"])).data.map((o) => o.name), ["u/one.txt", "u/two.txt"]);
  assert.ok((await bucket.download("u/one.txt")).error);
});

test("s3: put, get, head, list, delete", async () => {
  const c = s3();
  await c.send(new PutObjectCommand(at("v/a b+c.txt", { Body: "signed", ContentType: "text/plain" })));
  assert.equal(await text(await c.send(new GetObjectCommand(at("v/a b+c.txt", { Range: "bytes=0-3" })))), "sign");
  assert.equal((await c.send(new HeadObjectCommand(at("v/a b+c.txt")))).ContentLength, 6);
  assert.deepEqual((await c.send(new ListObjectsV2Command({ Bucket: "docmill", Prefix: "v/" }))).Contents.map((o) => o.Key), ["v/a b+c.txt"]);
  await c.send(new DeleteObjectsCommand({ Bucket: "docmill", Delete: { Objects: [{ Key: "v/a b+c.txt" }] } }));
  await c.send(new DeleteObjectCommand(at("v/a b+c.txt")));
  await assert.rejects(c.send(new GetObjectCommand(at("v/a b+c.txt"))), { name: "NoSuchKey" });
});

test("s3: an upload in parts", async () => {
  const c = s3(), parts = [Buffer.alloc(5 << 20, "x"), Buffer.from("end")];
  const { UploadId } = await c.send(new CreateMultipartUploadCommand(at("big")));
  const Parts = [];
  for (const [i, Body] of parts.entries())
    Parts.push({ PartNumber: i + 1, ETag: (await c.send(new UploadPartCommand(at("big", { UploadId, PartNumber: i + 1, Body })))).ETag });
  await c.send(new CompleteMultipartUploadCommand(at("big", { UploadId, MultipartUpload: { Parts } })));
  assert.equal((await c.send(new HeadObjectCommand(at("big")))).ContentLength, (5 << 20) + 3);
});

test("s3: wrong keys are told apart", async () => {
  const credentials = { accessKeyId: "docmill-test", secretAccessKey: "wrong" };
  await assert.rejects(s3({ credentials }).send(new PutObjectCommand(at("x", { Body: "x" }))), { name: "SignatureDoesNotMatch" });
});
