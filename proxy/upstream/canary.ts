/** Which side of a canary a visitor is on. */
import { clientNetwork } from '../../protocol/client-network.ts';

/** Who sends the request, as far as a canary needs to know. The `Asked` of policies fits. */
export interface Visitor {
  readonly clientAddress: string;
  /** The value of the field with this lower-case name. */
  header(name: string): string | undefined;
}

export interface CanaryRule {
  readonly weightPercent: number;
  /** `name=value`; null: none. */
  readonly cookie: string | null;
}

/**
 * True for the canary's side. A client network is always on the same side of the same environment, and different
 * environments pick different networks.
 * @param salt the upstream's id
 */
export function isOnCanary({ weightPercent, cookie }: CanaryRule, visitor: Visitor, salt: string): boolean {
  if (cookie !== null && hasCookie(visitor.header('cookie'), cookie)) return true;
  if (weightPercent === 0 || weightPercent === 100) return weightPercent === 100;
  return (hash(salt + clientNetwork(visitor.clientAddress)) / 2 ** 32) * 100 < weightPercent;
}

/** RFC 6265 section 4.2.1: pairs separated by `; `. HTTP/2 clients may send several fields, joined by `, `. */
function hasCookie(field: string | undefined, pair: string): boolean {
  return field !== undefined && field.includes(pair) && field.split(/[;,] ?/).includes(pair);
}

/** 32-bit FNV-1a, then murmur3's finalizer, because the upper bits of FNV-1a hardly change with the last digit. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
