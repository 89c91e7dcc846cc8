/**
 * `orkestr-agent doctor --bundle`: an archive for support. It contains only what is harmless by its structure, and all
 * of it passes the scrubber as text. It never contains the journal itself, keys, or the environment of processes.
 */
import { writeFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { StatusReport } from '../../local-api/status-report.ts';
import type { DoctorReport } from '../doctor.ts';
import type { Subject } from '../subject.ts';
import { lastLines } from './logs.ts';
import { makeScrubber } from './scrub.ts';
import { knownSecrets } from './secrets.ts';

const DEPLOYMENTS = 50;

const README = `A support archive of orkestr, made by \`orkestr-agent doctor --bundle\`.

doctor.json       every check: findings, evidence, and what to do
status.json       the host as \`orkestr-agent status --json\` tells it, with versions
deployments.json  the last deployments: ids, states and error codes, no messages
settings.json     the agent's settings: paths and names of base images
logs/             the last lines of agent, proxy and hub

Values of environment variables, tokens, keys, passwords and e-mail addresses were replaced by [redacted], known ones by
their value and others by their looks. Addresses of hosts and visitors and names of domains are in it. Read it before you
give it away.
`;

interface BundleParts {
  readonly subject: Subject;
  readonly doctor: DoctorReport;
  readonly status: StatusReport;
}

/** Writes the archive (tar.gz, for its owner only). @throws OrkestrError ORK_CONFLICT if the file exists */
export async function writeBundle(path: string, parts: BundleParts): Promise<void> {
  const archive = pack();
  const whole = buffer(archive);
  const mtime = new Date(parts.subject.clock.now());
  for (const [name, content] of await filesOf(parts))
    archive.entry({ name: `orkestr-support/${name}`, mtime, mode: 0o600 }, content);
  archive.finalize();
  const bytes = await promisify(gzip)(await whole);
  try {
    writeFileSync(path, bytes, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new OrkestrError('ORK_CONFLICT', `${path} already exists. Use another name.`, { cause });
  }
}

async function filesOf({ subject, doctor, status }: BundleParts): Promise<readonly (readonly [string, string])[]> {
  const { values, gaps } = await knownSecrets(subject.config.stateFolder);
  const scrubber = makeScrubber(values);
  const json = (value: unknown): string => `${JSON.stringify(scrubber.value(value), null, 2)}\n`;
  const logs = await lastLines(subject);
  const files: readonly (readonly [string, string])[] = [
    ['doctor.json', json(doctor)],
    ['status.json', json(status)],
    ['deployments.json', json(await deploymentsOf(subject))],
    ['settings.json', json(settingsOf(subject))],
    ...[...logs].map(([name, lines]) => [`logs/${name}.log`, scrubber.text(lines)] as const),
  ];
  return [['README', [README, ...gaps.map((gap) => `Note: ${scrubber.text(gap)}\n`)].join('\n')], ...files];
}

/** Listed by name, so that a new setting is not included by accident. */
function settingsOf({ config }: Subject): unknown {
  const { stateFolder, agentSocket, sandboxFolder, proxySocket, dockerSocket, baseImages } = config;
  return { stateFolder, agentSocket, sandboxFolder, proxySocket, dockerSocket, baseImages };
}

/** Without messages and evidence: they may quote an app's output. */
async function deploymentsOf(subject: Subject): Promise<unknown> {
  const journal = await subject.journal();
  if (journal === null || 'unreadable' in journal) return journal;
  return journal.deployments
    .slice(0, DEPLOYMENTS)
    .map(({ deploymentId, environmentId, generation, kind, state, error }) => ({
      deploymentId,
      environmentId,
      generation,
      kind,
      state,
      errorCode: error?.code ?? null,
    }));
}
