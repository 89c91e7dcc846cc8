/** The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B), decoded four bits at a time. */
import { CODE, ConnectionError } from './codes.ts';

/**
 * Code length of each octet and of the end-of-string symbol, in bits. The code is canonical, so the lengths define it.
 */
const LENGTHS = Buffer.from(
  `13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
   6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
   13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
   15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
   20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
   22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
   26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
   20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
   30`
    .trim()
    .split(/\s+/)
    .map(Number),
);
const END = 256;
const MAX_BITS = 30;
/** Padding is shorter than an octet (RFC 7541 section 5.2). */
const MAX_PADDING = 7;

/** An inner node of the code tree; the leaves are octets. */
interface Node {
  readonly next: (Node | number)[];
  readonly depth: number;
  /** True when only 1 bits lead here: a string may end with such bits as padding. */
  readonly mayEnd: boolean;
  state: number;
}

/** Layout of a step: the next state, the octet that it completes, if any, and whether the string may end there. */
const STATE_MASK = 0xff;
const OCTET_SHIFT = 8;
const EMITS = 1 << 16;
const MAY_END = 1 << 17;
/** There is no such code, or it is the end-of-string symbol, which must never be encoded. */
const BAD = 1 << 18;

const STEPS = steps();

/**
 * Decodes octets `start` to `end` into `out`, which must have room for 8/5 as many.
 * @returns the length of the string
 * @throws ConnectionError COMPRESSION_ERROR
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let length = 0;
  let step = MAY_END;
  for (let at = start; at < end; at += 1) {
    const octet = bytes[at] as number;
    step = STEPS[((step & STATE_MASK) << 4) | (octet >> 4)] as number;
    if ((step & EMITS) !== 0) out[length++] = step >> OCTET_SHIFT;
    const failed = step & BAD;
    step = STEPS[((step & STATE_MASK) << 4) | (octet & 15)] as number;
    if ((step & EMITS) !== 0) out[length++] = step >> OCTET_SHIFT;
    if (((step | failed) & BAD) !== 0) throw new ConnectionError(CODE.compressionError, 'no code of HPACK');
  }
  if ((step & MAY_END) === 0) throw new ConnectionError(CODE.compressionError, 'the padding of a text is wrong');
  return length;
}

function tree(): Node {
  const root: Node = { next: [], depth: 0, mayEnd: true, state: 0 };
  let code = 0;
  for (let length = 1; length <= MAX_BITS; length += 1) {
    code *= 2;
    for (let octet = 0; octet <= END; octet += 1) {
      if (LENGTHS[octet] !== length) continue;
      put(root, code, length, octet);
      code += 1;
    }
  }
  return root;
}

function put(root: Node, code: number, length: number, octet: number): void {
  let node = root;
  for (let bit = length - 1; bit > 0; bit -= 1) {
    const way = (code >>> bit) & 1;
    const depth = node.depth + 1;
    const mayEnd = node.mayEnd && way === 1 && depth <= MAX_PADDING;
    const next = node.next[way] ?? { next: [], depth, mayEnd, state: -1 };
    node.next[way] = next;
    // No code is a prefix of another.
    node = next as Node;
  }
  node.next[code & 1] = octet;
}

/**
 * The steps by state (an inner node) and four bits. They are built by doubling: V8 would find a function for each
 * single step hot (docs/performance.md).
 */
function steps(): Int32Array {
  const root = tree();
  const nodes: Node[] = [root];
  for (const node of nodes) {
    for (const next of node.next) {
      if (typeof next === 'number') continue;
      next.state = nodes.length;
      nodes.push(next);
    }
  }
  const oneBit = Int32Array.from(nodes.flatMap(({ next }) => [step(next[0]), step(next[1])]));
  return doubled(doubled(oneBit, 2), 4);
}

function step(next: Node | number | undefined): number {
  if (typeof next === 'object') return next.state | (next.mayEnd ? MAY_END : 0);
  return next === undefined || next === END ? BAD : EMITS | (next << OCTET_SHIFT) | MAY_END;
}

/** Combines two steps of `ways` branches each into one. No code is so short that both could complete an octet. */
function doubled(single: Int32Array, ways: number): Int32Array {
  const double = new Int32Array(single.length * ways);
  for (let at = 0; at < double.length; at += 1) {
    const first = single[Math.trunc(at / ways)] as number;
    const second = single[(first & STATE_MASK) * ways + (at % ways)] as number;
    double[at] = (first & ~(STATE_MASK | MAY_END)) | second;
  }
  return double;
}
