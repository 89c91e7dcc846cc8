/**
 * Skips chunk extensions (RFC 9112 section 7.1.1): a recipient must ignore those that it does not know, and we know
 * none. Only the strict grammar is accepted, as in node's parser: no white space, and no control character that another
 * server could take for the end of the line.
 */
import { BACKSLASH, CR, EQUALS, QUOTE, SEMICOLON, TOKEN, VALUE } from './bytes.ts';

/** Limit of all extensions of one body, octets; node has the same limit per chunk. */
const MAX_OCTETS = 16_384;

/** `start`: before a name. `quoted`: in a quoted string; `escaped`: after its backslash; `closed`: after its end. */
type Part = 'start' | 'name' | 'equals' | 'value' | 'quoted' | 'escaped' | 'closed';

export class ChunkExtension {
  #part: Part = 'start';
  #octets = 0;

  /** Resets the octet count for the next body. */
  reset(): void {
    this.#octets = 0;
  }

  /** Starts an extension, after its semicolon. */
  begin(): void {
    this.#part = 'start';
  }

  /** @returns `cr` when the octet is the CR that ends the line */
  read(octet: number): 'more' | 'cr' | 'bad' {
    this.#octets += 1;
    if (this.#octets > MAX_OCTETS) return 'bad';
    if (octet === CR) return this.#mayEnd() ? 'cr' : 'bad';
    const next = octet === SEMICOLON && this.#mayEnd() ? 'start' : this.#next(octet);
    if (next === null) return 'bad';
    this.#part = next;
    return 'more';
  }

  #mayEnd(): boolean {
    return this.#part === 'name' || this.#part === 'value' || this.#part === 'closed';
  }

  #next(octet: number): Part | null {
    switch (this.#part) {
      case 'start':
        return TOKEN[octet] === 1 ? 'name' : null;
      case 'name':
        return octet === EQUALS ? 'equals' : this.#token(octet, 'name');
      case 'equals':
        return octet === QUOTE ? 'quoted' : this.#token(octet, 'value');
      case 'value':
        return this.#token(octet, 'value');
      case 'quoted':
        if (octet === QUOTE) return 'closed';
        return octet === BACKSLASH ? 'escaped' : this.#text(octet);
      case 'escaped':
        return this.#text(octet);
      case 'closed':
        break;
    }
    return null;
  }

  #token(octet: number, part: Part): Part | null {
    return TOKEN[octet] === 1 ? part : null;
  }

  #text(octet: number): Part | null {
    return VALUE[octet] === 1 ? 'quoted' : null;
  }
}
