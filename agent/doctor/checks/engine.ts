/** Docker Engine: whether it responds, with an API version that orkestr knows. */
import { OrkestrError } from '../../../protocol/errors.ts';
import { NEWEST_API, OLDEST_API, older } from '../../docker/engine.ts';
import { defineCheck, when } from '../check.ts';
import type { EngineVersion } from '../engine-facts.ts';

type Facts = EngineVersion | { readonly away: 'unreachable' | 'hangs'; readonly why: readonly string[] };

export const engine = defineCheck({
  name: 'engine',
  about: 'Docker Engine answers and supports an API version that orkestr knows. Without it, nothing can be deployed.',
  problems: {
    unreachable: {
      level: 'fail',
      says: 'Docker Engine does not answer at {socket}.',
      mend: 'Run `systemctl start docker`. If it stops again, `journalctl -u docker -n 50 --no-pager` shows why.',
    },
    hangs: {
      level: 'fail',
      says: 'Docker Engine accepts connections at {socket} but does not answer. Apps and their visitors are not affected.',
      mend: 'Run `systemctl restart docker` (with live-restore, apps keep running).',
    },
    'api-too-old': {
      level: 'fail',
      says: 'Docker Engine {version} speaks API {api}; orkestr needs {oldest} (Docker 20.10) or newer.',
      mend: {
        apt: 'Upgrade it: `apt-get install --only-upgrade docker.io` or `apt-get install --only-upgrade docker-ce`.',
        dnf: 'Upgrade it: `dnf upgrade docker-ce` or `dnf upgrade moby-engine`.',
      },
    },
    'api-too-new': {
      level: 'fail',
      says: 'Docker Engine {version} speaks API {least} and newer; this version of orkestr supports up to {newest}.',
      mend: 'Upgrade orkestr: `orkestr-agent upgrade`.',
    },
  },
  async gather(subject) {
    const socket = subject.config.dockerSocket;
    return { socket, facts: await subject.engine.version().catch(asAway) };
  },
  judge({ socket, facts }) {
    if ('away' in facts) {
      return {
        summary: `does not answer at ${socket}`,
        findings: [{ problem: facts.away, values: { socket }, evidence: facts.why }],
      };
    }
    const { Version: version, ApiVersion: api, MinAPIVersion: least } = facts;
    const values = { version, api, least, oldest: OLDEST_API, newest: NEWEST_API };
    return {
      summary: `Docker Engine ${version}, API ${least} to ${api}`,
      findings: [
        ...when(older(api, OLDEST_API), { problem: 'api-too-old', values }),
        ...when(older(NEWEST_API, least), { problem: 'api-too-new', values }),
      ],
    };
  },
});

function asAway(error: unknown): Facts {
  const known = { ORK_ENGINE_TIMEOUT: 'hangs', ORK_ENGINE_UNREACHABLE: 'unreachable' } as const;
  if (!(error instanceof OrkestrError) || !(error.code in known)) throw error;
  return {
    away: known[error.code as keyof typeof known],
    why: [error.message, ...error.evidence],
  };
}
