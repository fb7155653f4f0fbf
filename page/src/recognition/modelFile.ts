// An input that may be left out cannot be given in a browser: ONNX Runtime refuses it there.

const GRAPH = 7; // of ModelProto
const INITIALIZER = 5; // of GraphProto
const NAME = 8; // of TensorProto

/**
 * Return a model file whose optional inputs have to be given.
 *
 * An optional input has an initializer of the same name, which is left out here. The file is a
 * Protocol Buffers message, https://protobuf.dev/programming-guides/encoding/.
 */
export function requireReference(model: Uint8Array, inputs: string[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const field of readFields(model)) {
    if (field.number !== GRAPH || !field.content) {
      parts.push(field.whole);
      continue;
    }
    const kept = [...readFields(field.content)].filter(
      (inner) =>
        inner.number !== INITIALIZER || !inner.content || !inputs.includes(readName(inner.content)),
    );
    const graph = join(kept.map((inner) => inner.whole));
    parts.push(writeVarint(GRAPH * 8 + 2), writeVarint(graph.length), graph);
  }
  return join(parts);
}

interface Field {
  number: number;
  /** With its key and length. */
  whole: Uint8Array;
  /** Null if it is a number. */
  content: Uint8Array | null;
}

function* readFields(message: Uint8Array): Generator<Field> {
  let at = 0;
  const readVarint = (): number => {
    let value = 0, scale = 1;
    for (;;) {
      const byte = message[at++];
      if (byte === undefined) throw new Error("the model file is damaged");
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const from = at;
    const key = readVarint();
    let content: Uint8Array | null = null;
    if ((key & 7) === 2) {
      const length = readVarint();
      content = message.subarray(at, at + length);
      at += length;
    } else if ((key & 7) === 0) readVarint();
    else at += (key & 7) === 1 ? 8 : 4;
    yield { number: Math.floor(key / 8), whole: message.subarray(from, at), content };
  }
}

function readName(tensor: Uint8Array): string {
  for (const field of readFields(tensor)) {
    if (field.number === NAME && field.content) return new TextDecoder().decode(field.content);
  }
  return "";
}

function writeVarint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Uint8Array.from([...bytes, value]);
}

function join(parts: Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
