/** The alphabets of RFC 9110 and RFC 9112 as tables, and comparisons over bytes. */

function table(accepts: (octet: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, octet) => (accepts(octet) ? 1 : 0));
}

const matching = (pattern: RegExp): Uint8Array => table((octet) => pattern.test(String.fromCharCode(octet)));

/** 1 for the octets of a token (RFC 9110 section 5.6.2). */
export const TOKEN: Uint8Array = matching(/[!#$%&'*+\-.^_`|~0-9A-Za-z]/);
/** 1 for the octets of a field value (RFC 9110 section 5.5): visible, space, tab, and the raw octets above ASCII. */
export const VALUE: Uint8Array = table((octet) => octet === 9 || (octet >= 32 && octet !== 127));
/** 1 for the octets of a request target in origin form: visible ASCII except `#`. */
export const TARGET: Uint8Array = matching(/[!-"$-~]/);
/** 1 for the octets of a host name with its port. */
export const AUTHORITY: Uint8Array = matching(/[A-Za-z0-9.:-]/);
/** Value of a hexadecimal digit, 255 for others. */
export const HEX: Uint8Array = Uint8Array.from({ length: 256 }, (_, octet) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(octet).toLowerCase());
  return digit < 0 ? 255 : digit;
});

export const CR = 13;
export const LF = 10;
export const SPACE = 32;
export const QUOTE = 34;
export const TAB = 9;
export const COLON = 58;
export const SEMICOLON = 59;
export const EQUALS = 61;
export const BACKSLASH = 92;

/** Bytes of an ASCII text, for comparisons. */
export const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

/** True when the bytes are `lower` in any case. @param lower lower-case letters, digits and `-` only */
export function isText(bytes: Uint8Array, start: number, end: number, lower: Uint8Array): boolean {
  if (end - start !== lower.length) return false;
  return startsWithText(bytes, start, lower);
}

/** True when the bytes begin with `lower` in any case. The caller must check that there are enough of them. */
export function startsWithText(bytes: Uint8Array, start: number, lower: Uint8Array): boolean {
  for (let index = 0; index < lower.length; index += 1) {
    const octet = bytes[start + index] as number;
    const folded = octet >= 65 && octet <= 90 ? octet | 32 : octet;
    if (folded !== lower[index]) return false;
  }
  return true;
}

/** True when the bytes at `start` equal `exact`. */
export function isAt(bytes: Uint8Array, start: number, exact: Uint8Array): boolean {
  for (let index = 0; index < exact.length; index += 1) if (bytes[start + index] !== exact[index]) return false;
  return true;
}

/** A decimal number of at most 15 digits (so exact), or -1. */
export function decimal(bytes: Uint8Array, start: number, end: number): number {
  if (end === start || end - start > 15) return -1;
  let value = 0;
  for (let index = start; index < end; index += 1) {
    const digit = (bytes[index] as number) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
