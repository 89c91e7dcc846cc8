/** A host by what a person calls it. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Host } from '../api/schemas.ts';

/** @throws OrkestrError ORK_NOT_FOUND; ORK_INVALID when two have the name */
export function findHost(hosts: readonly Host[], nameOrId: string): Host {
  const [host, ...others] = hosts.filter((one) => one.id === nameOrId || one.name === nameOrId);
  if (host === undefined) throw new OrkestrError('ORK_NOT_FOUND', `There is no host ${nameOrId}.`);
  if (others.length === 0) return host;
  throw new OrkestrError('ORK_INVALID', `More than one host is called ${nameOrId}. Give its id.`, {
    evidence: [host, ...others].map(({ id }) => id),
  });
}
