/** Ended exchanges for the tests of the observer. */
import type { Ended } from './observer.ts';

export const ended = (some: Partial<Ended> = {}): Ended => ({
  method: 'GET',
  host: 'app.test',
  target: '/items/7?token=secret',
  clientAddress: '198.51.100.7',
  secure: true,
  httpVersion: '1.1',
  requestId: '0192f0c1-2d3e-7f00-8000-00000000000a',
  status: 200,
  outcome: 'served',
  targetId: '0192f0c1-2d3e-7f00-8000-000000000001',
  durationMs: 12.34,
  appMs: 10,
  bytesIn: 0,
  bytesOut: 1024,
  engine: 'fast',
  ...some,
});
