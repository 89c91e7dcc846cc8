/**
 * Resolves a name as all programs of this host do: with /etc/hosts, and whatever nsswitch.conf(5) lists. Uses a
 * program, which can be killed: a thread of this process that waits for a silent name server delays its exit by ten
 * seconds.
 */
import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import type { Exec } from '../lib/exec.ts';

/** @throws Error with a `code`: ENOTFOUND, or ETIMEOUT if there is no result in time */
export async function lookUp(exec: Exec, name: string, timeoutMs: number): Promise<readonly LookupAddress[]> {
  const { stdout, timedOut } = await exec('getent', ['ahosts', '--', name], { timeoutMs });
  // One line for each socket type.
  const addresses = [...new Set(stdout.match(/^\S+/gm))];
  if (addresses.length > 0) return addresses.map((address) => ({ address, family: isIP(address) }));
  throw timedOut
    ? Object.assign(new Error(`${name} was not found in ${timeoutMs} ms`), { code: 'ETIMEOUT' })
    : Object.assign(new Error(`getent finds no address of ${name}`), { code: 'ENOTFOUND' });
}

/** The same as a LookupFunction, for code that connects by name. */
export const lookupWith =
  (exec: Exec, timeoutMs: number): LookupFunction =>
  (name, { all }, answer) => {
    lookUp(exec, name, timeoutMs).then(
      (found) => (all === true ? answer(null, [...found]) : answer(null, found[0]?.address ?? '', found[0]?.family)),
      (error: NodeJS.ErrnoException) => answer(error, ''),
    );
  };
