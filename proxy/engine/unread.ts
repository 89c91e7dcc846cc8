/**
 * Records of clients that got a response without a request: for invalid bytes, or a head that did not arrive in time.
 */
import type { Ended } from '../observe/observer.ts';
import type { Client } from '../policy/client-address.ts';

/** @param status of the response */
export function unreadRequest(engine: Ended['engine'], { address, secure }: Client, status: number): Ended {
  return {
    method: '',
    host: '',
    target: '',
    clientAddress: address,
    secure,
    httpVersion: '1.1',
    requestId: '',
    status,
    outcome: 'served',
    targetId: null,
    durationMs: 0,
    appMs: 0,
    bytesIn: 0,
    bytesOut: 0,
    engine,
  };
}
