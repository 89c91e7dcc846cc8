/** acme-client, with our transport in place of its own. */
import { createHash } from 'node:crypto';
import type { Client } from 'acme-client';
import { problemOf } from './problem.ts';
import type { AcmeResponse, Transport } from './transport.ts';

/** The package is large (17 MB of memory), and most days need no order: it is loaded with the first. */
export const loadAcme = (): Promise<typeof import('acme-client')> => import('acme-client');

interface HttpClient {
  request(url: string, method: string, options?: { data?: unknown }): Promise<AcmeResponse>;
}

/**
 * A client of one directory. Its own HTTP (axios, one instance and its settings for the whole process) waits and asks
 * again by itself, knows no end, no CA of ours, and loses type and Retry-After of problems: so its one door to the
 * network is replaced.
 *
 * @param account `url`: null when the account has to be made
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
    // A bad nonce is the client's own matter: it asks again with the new one.
    if (response.status < 400 || isBadNonce(response)) return response;
    throw problemOf(new URL(url).host, response);
  };
  return client;
}

function isBadNonce({ status, data }: AcmeResponse): boolean {
  const type = (data as { type?: unknown } | null)?.type;
  return status === 400 && type === 'urn:ietf:params:acme:error:badNonce';
}

/** File name for something that belongs to a directory URL. */
export const nameOf = (directoryUrl: string): string =>
  createHash('sha256').update(directoryUrl).digest('hex').slice(0, 16);
