/**
 * Redacts secrets in text that leaves the host: every known value, in each encoding in which it may appear, and
 * whatever looks like a secret. It rather redacts a harmless word than miss a secret: the text is for support.
 */
import { makeRedactor } from '../../lib/redactor.ts';

const MARK = '[redacted]';

/** Names whose value is a secret, as part of a field, variable, query parameter or header. */
const SECRET_NAME =
  'token|secret|passw|pwd|pass|api[-_]?key|access[-_]?key|private[-_]?key|credential|cookie|session|auth|signature|dsn|database[-_]?url|webhook';

const IS_SECRET_NAME = new RegExp(SECRET_NAME, 'i');

type Rule = readonly [pattern: RegExp, replacement: string | ((...groups: (string | undefined)[]) => string)];

/** A value in quotes, in escaped quotes (JSON within JSON), truncated in the middle, or bare. */
const VALUE = String.raw`(?:(\\")(?:(?!\\").)*(\\")?|(")(?:[^"\\\n]|\\.)*("?)|(')[^'\n]*('?)|[^\s,;&}\]"'\\]+)`;
/** The rest of the name. Bounded, like all below: the time must not be quadratic in the line length. */
const NAME = String.raw`(?:${SECRET_NAME})[\w.-]{0,64}`;

const RULES: readonly Rule[] = [
  // RFC 7468, also if a JSON string escapes its line ends, or its end is missing.
  [/-----BEGIN [A-Z0-9 ]{1,64}-----(?:[\s\S]{0,4096}?-----END [A-Z0-9 ]{1,64}-----|(?:\\n|[\sA-Za-z0-9+/=])*)/g, MARK],
  // RFC 9110, 11.4: a scheme and its credentials; and headers that consist of secrets.
  [/\b(bearer|basic|digest|negotiate)\s+[^\s"',;\\]+/gi, `$1 ${MARK}`],
  [/\b((?:set-)?cookie\s*:\s*)[^\r\n"]*/gi, `$1${MARK}`],
  // RFC 3986, 3.2.1: user information of a URL.
  [/([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/"'<>\\]{1,512}@/gi, `$1${MARK}@`],
  // A field, variable or query parameter by its name; an option of a command line.
  [new RegExp(String.raw`(${NAME}\\?["']?\s*[:=]\s*)${VALUE}`, 'gi'), keepQuotes],
  [new RegExp(String.raw`(?<=\s--?[\w-]{0,64})(${NAME}\s+)${VALUE}`, 'gi'), keepQuotes],
  // E-mail addresses.
  [/[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+/g, MARK],
];

/** Keeps JSON valid. */
function keepQuotes(_match: string | undefined, name: string | undefined, ...quotes: (string | undefined)[]): string {
  const [open = '', close = open] = quotes.slice(0, 6).filter((quote) => quote !== undefined);
  return `${name}${open}${MARK}${close}`;
}

/** A word of this length that mixes letters and digits is a key, unless it is one of our own ids. */
const LONG_WORD = /[A-Za-z0-9+_=-]{20,}/g;
const ID = /sha256:[0-9a-f]{64}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

interface Scrubber {
  text(this: void, text: string): string;
  /** Scrubs every text within a value. Texts under a secret name are replaced as a whole. */
  value(this: void, value: unknown): unknown;
}

/** @param known secret values, whatever they look like; values below the redactor's minimum length are left */
export function makeScrubber(known: Iterable<string>): Scrubber {
  const values = [...new Set([...known].flatMap(formsOf))];
  const scrub = (text: string): string => {
    const redactor = makeRedactor(values);
    const without = Buffer.concat([redactor.push(Buffer.from(text)), redactor.end()]).toString('utf8');
    return scrubLongWords(RULES.reduce((rest, [pattern, by]) => rest.replaceAll(pattern, by as string), without));
  };
  const within = (value: unknown): unknown => {
    if (typeof value === 'string') return scrub(value);
    if (Array.isArray(value)) return value.map(within);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([name, part]: [string, unknown]) => [
      scrub(name),
      typeof part === 'string' && IS_SECRET_NAME.test(name) ? MARK : within(part),
    ]);
    return Object.fromEntries(entries) as unknown;
  };
  return { text: scrub, value: within };
}

/** As it is, line by line, and as encoded in JSON, a URL, base64 or hex. */
function formsOf(value: string): string[] {
  const lines = value.split(/\r?\n/).filter((line) => line !== '');
  return [value, ...lines].flatMap((text) => [
    text,
    JSON.stringify(text).slice(1, -1),
    encodeURIComponent(text),
    Buffer.from(text).toString('base64').replace(/=+$/, ''),
    Buffer.from(text).toString('base64url'),
    Buffer.from(text).toString('hex'),
  ]);
}

/** Keeps ids: without them nothing in the archive can be correlated. */
function scrubLongWords(text: string): string {
  let out = '';
  let at = 0;
  for (const match of text.matchAll(ID)) {
    out += text.slice(at, match.index).replaceAll(LONG_WORD, hide) + match[0];
    at = match.index + match[0].length;
  }
  return out + text.slice(at).replaceAll(LONG_WORD, hide);
}

const hide = (word: string): string => (/\d/.test(word) && /[A-Za-z]/.test(word) ? MARK : word);
