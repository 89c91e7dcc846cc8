/** The hash in `packageManager` (`pnpm@9.15.0+sha512.76e2…`), which the manager must match for any registry. */

export interface PinnedHash {
  /** `sha512`: every base image has the program `sha512sum`. */
  readonly algorithm: keyof typeof HEX_DIGITS;
  readonly hex: string;
}

const HEX_DIGITS = { sha1: 40, sha224: 56, sha256: 64, sha384: 96, sha512: 128 } as const;

/** Null if the field has no hash, or none that can be checked. */
export function pinnedHash(field: string): PinnedHash | null {
  const [, name, hex = ''] = /\+([a-z0-9]+)\.([0-9a-f]+)$/.exec(field) ?? [];
  for (const algorithm of Object.keys(HEX_DIGITS) as PinnedHash['algorithm'][]) {
    if (name === algorithm && hex.length === HEX_DIGITS[algorithm]) return { algorithm, hex };
  }
  return null;
}
