/** Finds hosts by name or id. */
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { Host } from '../api/schemas.ts';
import type { Context } from './context.ts';

/** @throws OrkestrError ORK_NOT_FOUND; ORK_INVALID when the name is ambiguous */
export function findHost(hosts: readonly Host[], nameOrId: string): Host {
  const [host, ...others] = hosts.filter((one) => one.id === nameOrId || one.name === nameOrId);
  if (host === undefined) throw new OrkestrError('ORK_NOT_FOUND', `There is no host ${nameOrId}.`);
  if (others.length === 0) return host;
  throw new OrkestrError('ORK_INVALID', `More than one host is called ${nameOrId}. Give its id.`, {
    evidence: [host, ...others].map(({ id }) => id),
  });
}

/** The host with this name or id. @throws OrkestrError ORK_NOT_FOUND; ORK_INVALID when the name is ambiguous */
export const namedHost = async (context: Context, nameOrId: string): Promise<Host> =>
  findHost(await context.hub().get('/hosts', z.array(Host)), nameOrId);

/** The id for `--host`; undefined when the option is absent. */
export const hostOption = async (context: Context, nameOrId: string | undefined): Promise<string | undefined> =>
  nameOrId === undefined ? undefined : (await namedHost(context, nameOrId)).id;
