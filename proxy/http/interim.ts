/** Interim responses (RFC 9110 section 15.2), which a proxy passes on, with the fields of any other response. */
import { STATUS_CODES } from 'node:http';
import { fieldLines } from './field-list.ts';
import { responseHeaders } from './headers.ts';

/** Limit of interim responses to one request. */
export const MAX_INTERIM = 20;

/**
 * True for an interim response that every client gets. A 100 is for clients that have asked for it, and the general
 * engine serves those; a 101 is final.
 */
export function isForwardedInterim(status: number | undefined): status is number {
  return status !== undefined && status > 101 && status < 200;
}

/**
 * An interim response as a message of HTTP/1.1.
 * @param fields of the app, alternating names and values
 */
export function interimMessage(status: number, fields: readonly string[]): string {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fieldLines(responseHeaders(fields, status))}\r\n`;
}
