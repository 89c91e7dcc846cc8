/**
 * Takes secrets out of text that leaves the host: every value that is known to be one, in each form that it may have been
 * written in, and whatever looks like one. Rather a harmless word too many than a secret: the text is for support.
 */
import { makeRedactor } from '../../lib/redactor.ts';

const MARK = '[redacted]';

/** Names whose value is a secret, as part of a field, variable, query parameter or header. */
const SECRET_NAME =
  'token|secret|passw|pwd|pass|api[-_]?key|access[-_]?key|private[-_]?key|credential|cookie|session|auth|signature|dsn|database[-_]?url|webhook';

const IS_SECRET_NAME = new RegExp(SECRET_NAME, 'i');

type Rule = readonly [pattern: RegExp, replacement: string | ((...groups: (string | undefined)[]) => string)];

/** A value in quotes, in quotes that are escaped (JSON within JSON), cut off in the middle, or bare. */
const VALUE = String.raw`(?:(\\")(?:(?!\\").)*(\\")?|(")(?:[^"\\\n]|\\.)*("?)|(')[^'\n]*('?)|[^\s,;&}\]"'\\]+)`;
/** The end of the name; what stands before it stays. Bounded, as all below: the time must not grow with the square of a line. */
const NAME = String.raw`(?:${SECRET_NAME})[\w.-]{0,64}`;

const RULES: readonly Rule[] = [
  // RFC 7468, also where a JSON string has its line ends escaped, or its end was cut off.
  [/-----BEGIN [A-Z0-9 ]{1,64}-----(?:[\s\S]{0,4096}?-----END [A-Z0-9 ]{1,64}-----|(?:\\n|[\sA-Za-z0-9+/=])*)/g, MARK],
  // RFC 9110, 11.4: a scheme and its credentials; and headers that are nothing but secrets.
  [/\b(bearer|basic|digest|negotiate)\s+[^\s"',;\\]+/gi, `$1 ${MARK}`],
  [/\b((?:set-)?cookie\s*:\s*)[^\r\n"]*/gi, `$1${MARK}`],
  // RFC 3986, 3.2.1: user information of a URL.
  [/([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/"'<>\\]{1,512}@/gi, `$1${MARK}@`],
  // A field, variable or query parameter by its name; an option of a command line.
  [new RegExp(String.raw`(${NAME}\\?["']?\s*[:=]\s*)${VALUE}`, 'gi'), keepQuotes],
  [new RegExp(String.raw`(?<=\s--?[\w-]{0,64})(${NAME}\s+)${VALUE}`, 'gi'), keepQuotes],
  // Addresses of people.
  [/[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+/g, MARK],
];

/** What stays JSON stays it. */
function keepQuotes(_match: string | undefined, name: string | undefined, ...quotes: (string | undefined)[]): string {
  const [open = '', close = open] = quotes.slice(0, 6).filter((quote) => quote !== undefined);
  return `${name}${open}${MARK}${close}`;
}

/** A word this long that mixes letters and digits is a key, unless it is one of our own ids. */
const LONG_WORD = /[A-Za-z0-9+_=-]{20,}/g;
const ID = /sha256:[0-9a-f]{64}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

interface Scrubber {
  text(this: void, text: string): string;
  /** The same of every text within; what its name calls a secret goes as a whole. */
  value(this: void, value: unknown): unknown;
}

/** @param known values that are secret, whatever they look like; shorter ones than the redactor's least are left */
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

/** As it is, each of its lines, and as JSON, a URL or base64 has it. */
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

/** Ids are kept: without them nothing in the archive can be followed. */
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
