"""tiny_gguf.py - a BERT of random weights in llama.cpp's own file format, small enough to be made on the spot

    tiny_gguf.py FILE [DIMENSION]

It knows no language: its tokens are the printable characters of ASCII, at a word's beginning or inside it, and its
weights come from a seeded generator. What it is good for is the protocol: the server takes it for an embedding model,
counts its tokens, pools and normalises its vectors, and gives different vectors to different texts.

The format is GGUF version 3: magic, version, counts, then key-value pairs, then the tensors' names, shapes, types and
offsets, then their bytes, each tensor on a boundary of 32 bytes. All little-endian.
"""

import array
import random
import struct
import sys

CONTEXT, LAYERS, HEADS, FEED_FORWARD, ALIGNMENT = 4096, 2, 4, 128, 32
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5  # types of values
TENSOR_F32, MEAN = 0, 1
NORMAL, CONTROL, UNKNOWN = 1, 3, 2  # types of tokens
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CHARACTERS = [chr(c) for c in range(33, 127)]
WORD = "\u2581"  # llama.cpp's mark of a word's beginning


def text(s):
    raw = s.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(kind, v):
    if kind == STRING:
        return text(v)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], v)


def pair(name, kind, v):
    if isinstance(v, list):
        return text(name) + struct.pack("<IIQ", ARRAY, kind, len(v)) + b"".join(value(kind, one) for one in v)
    return text(name) + struct.pack("<I", kind) + value(kind, v)


def settings(dimension):
    tokens = SPECIAL + [WORD + c for c in CHARACTERS] + CHARACTERS
    kinds = [UNKNOWN if t == "[UNK]" else CONTROL for t in SPECIAL] + [NORMAL] * 2 * len(CHARACTERS)
    number = {name: SPECIAL.index(name) for name in SPECIAL}
    return tokens, [
        pair("general.architecture", STRING, "bert"), pair("general.name", STRING, "docmill tiny"),
        pair("general.file_type", U32, 0), pair("general.alignment", U32, ALIGNMENT),
        pair("bert.context_length", U32, CONTEXT), pair("bert.embedding_length", U32, dimension),
        pair("bert.block_count", U32, LAYERS), pair("bert.feed_forward_length", U32, FEED_FORWARD),
        pair("bert.attention.head_count", U32, HEADS), pair("bert.attention.layer_norm_epsilon", F32, 1e-12),
        pair("bert.attention.causal", BOOL, False), pair("bert.pooling_type", U32, MEAN),
        pair("tokenizer.ggml.model", STRING, "bert"), pair("tokenizer.ggml.pre", STRING, "default"),
        pair("tokenizer.ggml.token_type_count", U32, 2),
        pair("tokenizer.ggml.tokens", STRING, tokens), pair("tokenizer.ggml.token_type", I32, kinds),
        pair("tokenizer.ggml.padding_token_id", U32, number["[PAD]"]),
        pair("tokenizer.ggml.unknown_token_id", U32, number["[UNK]"]),
        pair("tokenizer.ggml.cls_token_id", U32, number["[CLS]"]),
        pair("tokenizer.ggml.seperator_token_id", U32, number["[SEP]"]),  # so spelled in the format
        pair("tokenizer.ggml.mask_token_id", U32, number["[MASK]"]),
    ]


def tensors(dimension, tokens):
    """Name and shape of each; the innermost dimension first. Of one dimension: a norm's or a layer's."""
    d, f = dimension, FEED_FORWARD
    yield "token_embd.weight", (d, tokens)
    yield "token_types.weight", (d, 2)
    yield "position_embd.weight", (d, CONTEXT)
    yield "token_embd_norm.weight", (d,)
    yield "token_embd_norm.bias", (d,)
    for i in range(LAYERS):
        for name, inner, outer in (("attn_q", d, d), ("attn_k", d, d), ("attn_v", d, d), ("attn_output", d, d),
                                   ("ffn_up", d, f), ("ffn_down", f, d)):
            yield f"blk.{i}.{name}.weight", (inner, outer)
            yield f"blk.{i}.{name}.bias", (outer,)
        for name in ("attn_output_norm", "layer_output_norm"):
            yield f"blk.{i}.{name}.weight", (d,)
            yield f"blk.{i}.{name}.bias", (d,)


def numbers(name, count, die):
    if name.endswith("norm.weight"):
        return array.array("f", [1.0]) * count
    # positions weigh little, so that a text's words decide and not their places
    scale = 0.05 if name.startswith("position") else 1.0 if name.startswith("token_embd.") else 0.2
    return array.array("f", (die.uniform(-scale, scale) for _ in range(count)))


def write(path, dimension=64, seed=1):
    die = random.Random(seed)
    tokens, pairs = settings(dimension)
    heads, bodies, offset = [], [], 0
    for name, shape in tensors(dimension, len(tokens)):
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        body = numbers(name, count, die)
        if sys.byteorder == "big":
            body.byteswap()
        raw = body.tobytes()
        heads.append(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, TENSOR_F32, offset))
        raw += bytes(-len(raw) % ALIGNMENT)
        bodies.append(raw)
        offset += len(raw)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(heads), len(pairs)) + b"".join(pairs) + b"".join(heads)
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT) + b"".join(bodies))


if __name__ == "__main__":
    write(sys.argv[1], *(int(a) for a in sys.argv[2:3]))
