/** The Close frame of a proxy that shuts a WebSocket down (RFC 6455 sections 5.5.1 and 7.4.1). */
import { randomBytes } from 'node:crypto';

/** `Going Away`. */
const STATUS = Buffer.from([0x03, 0xe9]);
const FIN_CLOSE = 0x88;
const MASKED = 0x80;

/** The unmasked form that a server sends. */
export function closeFrameToClient(): Buffer {
  return Buffer.concat([Buffer.from([FIN_CLOSE, STATUS.length]), STATUS]);
}

/** The masked form that a client sends (section 5.3). */
export function closeFrameToServer(): Buffer {
  const mask = randomBytes(4);
  const payload = STATUS.map((octet, index) => octet ^ (mask[index] as number));
  return Buffer.concat([Buffer.from([FIN_CLOSE, MASKED | STATUS.length]), mask, payload]);
}
