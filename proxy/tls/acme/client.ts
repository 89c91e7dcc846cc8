/** acme-client with our transport in place of its own. */
import { createHash } from 'node:crypto';
import type { Client } from 'acme-client';
import { problemOf } from './problem.ts';
import type { AcmeResponse, Transport } from './transport.ts';

/** Loaded on the first order: the package takes 17 MB of memory, and most days there is no order. */
export const loadAcme = (): Promise<typeof import('acme-client')> => import('acme-client');

interface HttpClient {
  request(url: string, method: string, options?: { data?: unknown }): Promise<AcmeResponse>;
}

/**
 * A client of one directory. The package's own HTTP (axios, one instance with settings for the whole process) retries
 * by itself, cannot be aborted, does not trust our CAs, and drops the type and Retry-After of problems. So its single
 * access to the network is replaced.
 *
 * @param account `url`: null when the account does not exist yet
 */
export async function makeClient(
  directoryUrl: string,
  account: { readonly privateKey: string; readonly url: string | null },
  transport: Transport,
): Promise<Client> {
  const { Client } = await loadAcme();
  const client = new Client({
    directoryUrl,
    accountKey: account.privateKey,
    ...(account.url !== null && { accountUrl: account.url }),
  });
  const { http } = client as unknown as { http: HttpClient };
  if (typeof http?.request !== 'function') throw new TypeError('this version of acme-client has no http.request');
  http.request = async (url, method, { data } = {}) => {
    const response = await transport.request(url, method, data);
    // The client handles a bad nonce itself: it repeats the request with the new one.
    if (response.status < 400 || isBadNonce(response)) return response;
    throw problemOf(new URL(url).host, response);
  };
  return client;
}

function isBadNonce({ status, data }: AcmeResponse): boolean {
  const type = (data as { type?: unknown } | null)?.type;
  return status === 400 && type === 'urn:ietf:params:acme:error:badNonce';
}

/** File name for data of a directory URL. */
export const nameOf = (directoryUrl: string): string =>
  createHash('sha256').update(directoryUrl).digest('hex').slice(0, 16);
