// compare.cjs - the tokens of files by docmill and by gpt-tokenizer
//
// usage: node compare.cjs MODULES DOCMILL_TOKEN_DUMP FILE...
//        node compare.cjs --expect MODULES FILE...     the rows of tests/unit/text/test_cl100k.c
//
// Exit status 1 when a file's tokens differ or a file is no UTF-8.
'use strict'
const fs = require('fs')
const { execFileSync } = require('child_process')
const { createHash } = require('crypto')
const path = require('path')

const expect = process.argv[2] === '--expect'
const [modules, ...rest] = process.argv.slice(expect ? 3 : 2)
const dump = expect ? null : rest.shift()
const { encode } = require(path.join(modules, 'gpt-tokenizer/cjs/encoding/cl100k_base'))

function theirs(file) {
  const bytes = fs.readFileSync(file)
  const text = bytes.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(bytes)) throw new Error(`${file} is no UTF-8`)
  return { ranks: encode(text, { disallowedSpecial: new Set() }), bytes: bytes.length }
}

function ours(file) {
  const out = execFileSync(dump, ['--raw', file], { maxBuffer: 1 << 30 })
  return new Uint32Array(out.buffer.slice(out.byteOffset, out.byteOffset + out.length))
}

let bytes = 0
let tokens = 0
let bad = 0
for (const file of rest) {
  const t = theirs(file)
  bytes += t.bytes
  tokens += t.ranks.length
  if (expect) {
    const digest = createHash('sha256').update(Buffer.from(Uint32Array.from(t.ranks).buffer)).digest('hex')
    console.log(`{"${path.basename(file)}", ${t.ranks.length}, "${digest}"},`)
    continue
  }
  const o = ours(file)
  let i = 0
  while (i < t.ranks.length && t.ranks[i] === o[i]) i++
  if (i < t.ranks.length || o.length !== t.ranks.length) {
    bad++
    console.log(`${file}: token ${i} of ${t.ranks.length}: expected ${t.ranks.slice(i, i + 5)}, got ${o.slice(i, i + 5)}`)
  }
}
if (!expect) {
  console.log(`${rest.length} files, ${(bytes / 1e6).toFixed(1)} MB, ${tokens} tokens: ` + (bad ? `${bad} files differ` : 'all agree'))
  process.exitCode = bad ? 1 : 0
}
