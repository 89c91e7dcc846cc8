/** The evidence of a detected app, from its facts and the places where they were read. */
import type { Evidence } from '../../protocol/steps.ts';
import type { Facts } from './detector.ts';
import type { ChosenRuntime } from './runtime.ts';

/** Where each fact was read. An absent fact needs no place. */
interface Places {
  readonly framework: string;
  readonly runtime: string;
  readonly install?: string;
  readonly build?: string;
  readonly start: string;
  /** Default: the framework's default port. */
  readonly port?: string;
}

interface Told {
  /** Display name of the runtime: "Node.js". */
  readonly runtime: string;
  readonly version: Evidence;
  readonly manager?: { readonly value: string; readonly from: string };
}

/** Evidence for each fact of a plan that has a value. */
export function evidenceFor(facts: Facts, places: Places, { runtime, version, manager }: Told): Evidence[] {
  const { framework, installCommand, buildCommand, startCommand, port } = facts;
  const all: readonly [Evidence['subject'], string | undefined, string | undefined][] = [
    ['framework', framework, places.framework],
    ['runtime', runtime, places.runtime],
    ['version', version.value, version.from],
    ['packageManager', manager?.value, manager?.from],
    ['install', installCommand, places.install],
    ['build', buildCommand, places.build],
    ['start', startCommand, places.start],
    ['port', port?.toString(), places.port ?? `${framework} default`],
  ];
  return all.flatMap(([subject, value, from]) =>
    value === undefined ? [] : [{ subject, value, from: from ?? places.runtime }],
  );
}

/** The version as a fact, if the base image's name contains it. */
export const versionFact = ({ version }: Pick<ChosenRuntime, 'version'>): Pick<Facts, 'version'> =>
  version === '' ? {} : { version };

/** A warning if the lockfile is missing. */
export function lockWarning(lockfile: string, isThere: boolean): string[] {
  return isThere ? [] : [`There is no ${lockfile}, so the same commit may get other versions tomorrow. Commit one.`];
}
