/** Registries that the configured base images come from. */
import { reasonOf } from '../../../protocol/service/dialling.ts';
import type { Exec } from '../../lib/exec.ts';
import { defineCheck } from '../check.ts';
import { lookupWith } from '../host-lookup.ts';

const ANSWER_MS = 900;

interface Registry {
  readonly host: string;
  /** Null: it responds. */
  readonly error: string | null;
}

export const registry = defineCheck({
  name: 'registry',
  about: 'The image registries named in ORKESTR_BASE_IMAGES answer.',
  problems: {
    unreachable: {
      level: 'warn',
      says: 'The registry {host} does not answer: builds that need a base image from it fail.',
      mend: 'Check with `curl -v https://{host}/v2/`, or build the images here: `orkestr-agent base-images build node python`.',
    },
  },
  gather({ config, exec }, signal) {
    const hosts = [...new Set(Object.values(config.baseImages).flatMap(registryOf))];
    return Promise.all(hosts.map((host) => ask(host, exec, signal)));
  },
  judge(registries) {
    if (registries.length === 0) return { skipped: 'no registry is configured' };
    return {
      summary: registries.map(({ host }) => host).join(', '),
      findings: registries.flatMap(({ host, error }) =>
        error === null ? [] : [{ problem: 'unreachable' as const, values: { host }, evidence: [error] }],
      ),
    };
  },
});

/**
 * Docker's rule for image names: the part before the first slash is a host if it has a dot or a port, or is localhost.
 */
export function registryOf(image: string): string[] {
  const [first = '', ...rest] = image.split('/');
  return rest.length > 0 && (/[.:]/.test(first) || first === 'localhost') ? [first] : [];
}

/** OCI distribution-spec, end-1: /v2/ responds with 200, or with 401 if a login is required. */
async function ask(host: string, exec: Exec, signal: AbortSignal): Promise<Registry> {
  try {
    const { Agent, request } = await import('undici');
    const { statusCode, body } = await request(`https://${host}/v2/`, {
      dispatcher: new Agent({ connect: { lookup: lookupWith(exec, ANSWER_MS) } }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    await body.dump();
    return { host, error: statusCode === 200 || statusCode === 401 ? null : `HTTP ${statusCode}` };
  } catch (error) {
    return { host, error: reasonOf(error) };
  }
}
