/** Forty secrets of every kind that orkestr receives, in the shapes secrets have, and how each may be spelled. */
import { randomBytes } from 'node:crypto';

type CanaryKind = 'variable' | 'build secret' | 'registry password' | 'git token' | 'API token';

export interface Canary {
  /** `build secret 3 (json)` */
  readonly name: string;
  readonly kind: CanaryKind;
  readonly value: string;
  /** User name that accompanies it. */
  readonly user: string;
}

/** Each has at least 72 random bits, so that nothing else on the machine contains it. */
const SHAPES: Readonly<Record<string, () => string>> = {
  short: () => randomBytes(9).toString('base64url'),
  base64: () => randomBytes(33).toString('base64'),
  json: () => JSON.stringify({ user: 'ada', key: `a"b\\c-${randomBytes(12).toString('hex')}` }),
  url: () => `p%ss w&rd=+/?#${randomBytes(12).toString('hex')}@:`,
  unicode: () => `pässwörd-${randomBytes(12).toString('hex')}-ключ-鍵-🔑`,
  lines: () => {
    const lines = Array.from({ length: 3 }, () => randomBytes(24).toString('base64'));
    return ['-----BEGIN PRIVATE KEY-----', ...lines, '-----END PRIVATE KEY-----', ''].join('\n');
  },
};

/** The hub creates API tokens, so their values are filled in later. */
const COUNTS: Readonly<Record<Exclude<CanaryKind, 'API token'>, number>> = {
  variable: 14,
  'build secret': 12,
  'registry password': 6,
  'git token': 4,
};
export const API_TOKENS = 4;

export function makeCanaries(): Canary[] {
  return Object.entries(COUNTS).flatMap(([kind, count]) => {
    // git passes credentials on line by line, so a token is one line.
    const shapes = Object.entries(SHAPES).filter(([shape]) => kind !== 'git token' || shape !== 'lines');
    return Array.from({ length: count }, (_, index): Canary => {
      const [shape, make] = shapes[index % shapes.length] as (typeof shapes)[number];
      return { name: `${kind} ${index + 1} (${shape})`, kind: kind as CanaryKind, value: make(), user: `user${index}` };
    });
  });
}

export const apiTokenCanary = (index: number, value: string): Canary => ({
  name: `API token ${index + 1}`,
  kind: 'API token',
  value,
  user: '',
});

/** Spellings in which it may leak: as it is, its lines, in JSON, in a URL, in base64, as an Authorization header. */
export function spellingsOf({ value, user }: Canary): string[] {
  const lines = value.split('\n').filter((line) => line.length >= 12 && !line.startsWith('-----'));
  const base64 = (text: string): string => Buffer.from(text).toString('base64').replace(/=+$/, '').slice(0, -1);
  return [
    ...new Set([
      ...lines,
      JSON.stringify(value).slice(1, -1),
      encodeURIComponent(value),
      base64(value),
      base64(`${user}:${value}`),
    ]),
  ];
}
