/** Registries that builds and deployments on this host need. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { reasonOf } from '../../../protocol/service/dialling.ts';
import type { LiveRecord } from '../../deployment/records.ts';
import { hostOf, registryOf } from '../../registry/login.ts';
import { defineCheck, when } from '../check.ts';
import type { Finding } from '../check.ts';
import { lookupWith } from '../host-lookup.ts';
import type { Subject } from '../subject.ts';

const ANSWER_MS = 900;
/** Where Docker Engine looks for authorities of a registry, below one folder per registry (docs/registry.md). */
const OWN_AUTHORITIES = 'etc/docker/certs.d';

interface Registry {
  /** As in the names of its images; Docker Hub is docker.io. */
  readonly registry: string;
  /** Null: it responds. */
  readonly error: string | null;
  /** Base images from it that this host's engine does not have. */
  readonly lacking: readonly string[];
  /** Images of live apps are in it. */
  readonly hasApps: boolean;
}

type Problem = 'unreachable' | 'apps-unreachable';

export const registry = defineCheck({
  name: 'registry',
  about:
    'The registries answer from which builds here pull base images that this host lacks, and those of its live apps.',
  problems: {
    unreachable: {
      level: 'warn',
      says: 'The registry {host} does not answer: builds here cannot pull base images from it.',
      mend: 'Check with `curl -v https://{host}/v2/`, or build the images here: `orkestr-agent base-images build node python`.',
    },
    'apps-unreachable': {
      level: 'warn',
      says: 'The registry {host}, which has the images of live apps, does not answer: the next deployment of such an app fails.',
      mend: 'Check with `curl -v https://{host}/v2/`. If its certificate is the reason, put the CA into /etc/docker/certs.d/{registry}/ca.crt.',
    },
  },
  async gather(subject, signal): Promise<readonly Registry[]> {
    const journal = await subject.journal();
    const live = journal === null || 'unreadable' in journal ? [] : journal.live;
    const images = [...new Set([...Object.values(subject.config.baseImages), ...live.flatMap(pulledFor)])];
    const ofApps = new Set(live.flatMap(pushedTo).map(registryOf));
    const registries = [...new Set([...images.map(registryOf), ...ofApps])];
    // All at once: one after the other, engine and registry may take longer than the doctor.
    const [errors, has] = await Promise.all([
      Promise.all(registries.map((one) => ask(one, subject, signal))),
      Promise.all(images.map((name) => subject.engine.hasImage(name))),
    ]);
    const lacking = images.filter((_name, index) => !has[index]);
    return registries.map((one, index) => ({
      registry: one,
      error: errors[index] ?? null,
      lacking: lacking.filter((name) => registryOf(name) === one),
      hasApps: ofApps.has(one),
    }));
  },
  judge(registries) {
    const needed = registries.filter(({ lacking, hasApps }) => lacking.length > 0 || hasApps);
    if (needed.length === 0) return { skipped: 'this host has all base images, and its apps use no registry' };
    return { summary: needed.map(({ registry: name }) => name).join(', '), findings: needed.flatMap(findingsOf) };
  },
});

/** Base images of a live app that was built here: one from a registry of images is pulled whole. */
const pulledFor = ({ release }: LiveRecord): string[] =>
  release?.image.registryReference === undefined ? Object.keys(release?.image.baseDigests ?? {}) : [];

/** The image of a live app in its registry. */
const pushedTo = ({ release }: LiveRecord): string[] =>
  release?.image.registryReference === undefined ? [] : [release.image.registryReference];

function findingsOf({ registry: name, error, lacking, hasApps }: Registry): Finding<Problem>[] {
  if (error === null) return [];
  const values = { registry: name, host: hostOf(name) };
  const missing = `not on this host: ${lacking.join(', ')}`;
  return [
    ...when(lacking.length > 0, { problem: 'unreachable', values, evidence: [error, missing] }),
    ...when(hasApps, { problem: 'apps-unreachable', values, evidence: [error] }),
  ];
}

/**
 * OCI distribution-spec, end-1: /v2/ responds with 200, or with 401 if a login is required.
 * @returns why it does not answer; null: it does
 */
async function ask(name: string, { exec, places }: Subject, signal: AbortSignal): Promise<string | null> {
  try {
    const { Agent, request } = await import('undici');
    const ca = await authoritiesOf(join(places.root, OWN_AUTHORITIES, name));
    const { statusCode, body } = await request(`https://${hostOf(name)}/v2/`, {
      dispatcher: new Agent({ connect: { lookup: lookupWith(exec, ANSWER_MS), ...(ca !== null && { ca }) } }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
      reset: true,
    });
    await body.dump();
    return statusCode === 200 || statusCode === 401 ? null : `HTTP ${statusCode}`;
  } catch (error) {
    return reasonOf(error);
  }
}

/** The authorities that Docker Engine trusts for a registry; null: those that all programs of the host trust. */
async function authoritiesOf(folder: string): Promise<string[] | null> {
  const names = await readdir(folder).catch(() => []); // most registries have none of their own
  const files = names.filter((one) => one.endsWith('.crt'));
  if (files.length === 0) return null;
  return [...getCACertificates(), ...(await Promise.all(files.map((one) => readFile(join(folder, one), 'utf8'))))];
}
