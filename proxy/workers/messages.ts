/** Messages between the process that holds the table and its workers, besides the calls of planes/messages.ts. */
import { z } from 'zod';
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../config.ts';
import type { ServingSettings } from '../serving.ts';

/** An object with the same fields, all numbers. */
function numbersLike<T extends object>(example: T): z.ZodType<T> {
  const shape = Object.fromEntries(Object.keys(example).map((name) => [name, z.number()]));
  return z.object(shape) as unknown as z.ZodType<T>;
}

const settings = () =>
  z.object({
    engine: z.enum(['fast', 'http-proxy']),
    trusted: z.array(z.string()).readonly(),
    proxyProtocol: z.boolean(),
    accessLog: z.union([z.literal('off'), z.object({ share: z.number() })]),
    limits: numbersLike(DEFAULT_LIMITS),
    timeouts: numbersLike(DEFAULT_TIMEOUTS),
    workers: z.int(),
    httpsPort: z.int(),
  }) satisfies z.ZodType<ServingSettings>;

export const ToWorker = z.lazy(() =>
  z.discriminatedUnion('type', [
    /** The first message. `tls`: the worker will listen for TLS. */
    z.object({ type: z.literal('start'), settings: settings(), logLevel: z.string(), tls: z.boolean() }),
    /** Sent once the worker has the table. */
    z.object({
      type: z.literal('listen'),
      sockets: z.array(z.object({ kind: z.enum(['http', 'https']), fd: z.int() })),
    }),
    z.object({ type: z.literal('close'), shutdownMs: z.number() }),
  ]),
);
export type ToWorker = z.infer<typeof ToWorker>;

const Address = z.object({ address: z.string(), family: z.string(), port: z.int() });

export const FromWorker = z.lazy(() =>
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('booted') }),
    z.object({ type: z.literal('listening'), addresses: z.array(Address) }),
    z.object({ type: z.literal('failed'), message: z.string() }),
  ]),
);
export type FromWorker = z.infer<typeof FromWorker>;
