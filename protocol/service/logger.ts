/** JSON logs to stdout, for journald or a file. The format is the same for hub, agent and proxy. */
import { pino } from 'pino';
import type { DestinationStream, Logger, LoggerOptions } from 'pino';

export type { Logger };

/** Fields that are redacted, at the top level and up to two levels down. */
const SECRET_FIELDS = [
  'token',
  'joinToken',
  'password',
  'secret',
  'authorization',
  'cookie',
  'env',
  'auth',
  'privateKey',
];

/** @param destination gets each line with its newline; absent: stdout, written synchronously */
export function makeLogger(service: 'hub' | 'agent' | 'proxy', level: string, destination?: DestinationStream): Logger {
  const options: LoggerOptions = {
    name: service,
    level,
    base: { service },
    redact: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
    formatters: { level: (label) => ({ level: label }) },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
  };
  return destination ? pino(options, destination) : pino(options);
}
