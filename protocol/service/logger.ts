/** JSON logs to stdout, for journald or a file. One shape for hub, agent and proxy. */
import { pino } from 'pino';
import type { DestinationStream, Logger, LoggerOptions } from 'pino';

export type { Logger };

/** Fields that never reach a log, wherever they stand in an object. */
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

/** @param destination takes each line with its line end; absent: stdout, which the process waits for */
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
