/** Who may read and write our files and sockets. */
import { chmod, lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { defineCheck, when } from '../check.ts';
import type { Finding } from '../check.ts';
import type { SubjectConfig } from '../subject.ts';

interface Rule {
  readonly path: string;
  /** Bits that it may have at most. */
  readonly mode: number;
  readonly kind: 'ours' | 'engine';
}

interface Found extends Rule {
  readonly actual: number;
  readonly owner: number;
}

type Problem = 'too-open' | 'wrong-owner' | 'engine-open';

export const files = defineCheck({
  name: 'files',
  about: 'Keys, journal, logs and sockets can be read by their owner only.',
  problems: {
    'too-open': {
      level: 'fail',
      says: '{path} has mode {actual}: others on this host can get at it.',
      mend: '`chmod {mode} {path}`. If others have accounts here, enrol the host again: they may have read its keys.',
      fix: 'safe',
    },
    'wrong-owner': {
      level: 'fail',
      says: '{path} belongs to user {owner}, not to the user of the agent ({user}).',
      mend: '`chown {user} {path}`.',
    },
    'engine-open': {
      level: 'fail',
      says: '{path} has mode {actual}: everybody on this host is root by way of Docker.',
      mend: '`chmod {mode} {path}`; and look at what opened it: `systemctl cat docker.socket`.',
      fix: 'safe',
    },
  },
  async gather({ config }) {
    const found = await Promise.all(rulesOf(config).map(lookAt));
    return { found: found.filter((one) => one !== null), user: process.geteuid?.() ?? 0 };
  },
  judge: ({ found, user }) => ({
    summary: `${found.length} files and sockets looked at`,
    findings: found.flatMap((one) => judgeOne(one, user)),
  }),
  async fix({ values }) {
    const [path, mode] = [String(values?.['path']), String(values?.['mode'])];
    await chmod(path, Number.parseInt(mode, 8));
    return `${path} has mode ${mode} now`;
  },
});

/** Deeper ones are behind the state folder, which nobody else may enter. */
const rulesOf = ({ stateFolder, agentSocket, proxySocket, dockerSocket, sandboxFolder }: SubjectConfig): Rule[] => [
  { path: stateFolder, mode: 0o700, kind: 'ours' },
  ...['identity.json', 'host-key.pem', 'secret.key'].map((name): Rule => ({
    path: join(stateFolder, name),
    mode: 0o600,
    kind: 'ours',
  })),
  { path: agentSocket, mode: 0o600, kind: 'ours' },
  { path: sandboxFolder, mode: 0o700, kind: 'ours' },
  { path: proxySocket, mode: 0o660, kind: 'ours' },
  { path: dockerSocket, mode: 0o660, kind: 'engine' },
];

async function lookAt(rule: Rule): Promise<Found | null> {
  try {
    const { mode, uid } = await lstat(rule.path);
    return { ...rule, actual: mode & 0o777, owner: uid };
  } catch (error) {
    // What is not there is nobody's to read; whether it should be, other checks say.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function judgeOne({ path, mode, kind, actual, owner }: Found, user: number): Finding<Problem>[] {
  const values = { path, actual: octal(actual), mode: octal(actual & mode), owner, user };
  const foreign = owner !== user && owner !== 0 && kind === 'ours' && !path.endsWith('.sock');
  return [
    ...when((actual & ~mode) !== 0, { problem: kind === 'ours' ? 'too-open' : 'engine-open', values }),
    ...when(foreign, { problem: 'wrong-owner', values }),
  ];
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');
