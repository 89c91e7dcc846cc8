/**
 * Redacts secrets in a byte stream, even if a secret is split across two chunks. Every occurrence of every secret is
 * found, overlapping ones are covered as one, and the output does not depend on how the stream was split. Only a suffix
 * that may be the start of a secret is held back: at most the longest secret minus one byte.
 */

/** Shorter values would redact ordinary words of a log and hardly protect anything. */
export const MIN_SECRET_BYTES = 6;
/** Replaces a secret. */
export const MARK = '[redacted]';

interface Redactor {
  /** Returns what can be output by now. */
  push(chunk: Uint8Array): Buffer;
  /** Returns the rest, at the end of the stream. */
  end(): Buffer;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

export function makeRedactor(values: Iterable<string>): Redactor {
  const secrets = [...new Set(values)]
    .map((value) => Buffer.from(value))
    .filter((bytes) => bytes.length >= MIN_SECRET_BYTES);
  let held: Buffer = Buffer.alloc(0);
  // How many bytes at the front of `held` belong to an occurrence whose mark was already output.
  let masked = 0;

  const take = (chunk: Uint8Array, final: boolean): Buffer => {
    if (secrets.length === 0) return Buffer.from(chunk);
    const text = Buffer.concat([held, chunk]);
    const spans = occurrences(text, secrets, masked);
    const border = final ? text.length : holdFrom(text, secrets);
    const out: Buffer[] = [];
    let at = 0;
    for (const [index, span] of spans.entries()) {
      const marked = index === 0 && masked > 0;
      if (!marked && span.from >= border) break;
      if (!marked) out.push(text.subarray(at, span.from), Buffer.from(MARK));
      at = Math.min(span.to, border);
      if (span.to > border) {
        masked = span.to - border;
        held = text.subarray(border);
        return Buffer.concat(out);
      }
    }
    out.push(text.subarray(at, border));
    masked = 0;
    held = text.subarray(border);
    return Buffer.concat(out);
  };

  return { push: (chunk) => take(chunk, false), end: () => take(Buffer.alloc(0), true) };
}

/**
 * Positions of secrets, overlapping ones joined, in order. The first `masked` bytes count as the end of an earlier one.
 */
function occurrences(text: Buffer, secrets: readonly Buffer[], masked: number): Span[] {
  const found: Span[] = masked > 0 ? [{ from: 0, to: masked }] : [];
  for (const secret of secrets) {
    for (let at = text.indexOf(secret); at !== -1; at = text.indexOf(secret, at + 1)) {
      found.push({ from: at, to: at + secret.length });
    }
  }
  found.sort((a, b) => a.from - b.from);
  const joined: Span[] = [];
  for (const span of found) {
    const last = joined.at(-1);
    if (last && span.from < last.to) joined[joined.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    else joined.push(span);
  }
  return joined;
}

/** Start of the longest suffix that is the beginning of a secret. */
function holdFrom(text: Buffer, secrets: readonly Buffer[]): number {
  let from = text.length;
  for (const secret of secrets) {
    for (let at = Math.max(0, text.length - secret.length + 1); at < from; at++) {
      if (text[at] === secret[0] && secret.subarray(0, text.length - at).equals(text.subarray(at))) {
        from = at;
        break;
      }
    }
  }
  return from;
}
