/** Permissions and owners of our files and sockets. */
import { chmod, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { layoutAt } from '../../upgrade/layout.ts';
import { defineCheck, when } from '../check.ts';
import type { Finding } from '../check.ts';
import type { Subject } from '../subject.ts';

interface Rule {
  readonly path: string;
  /** The most permissive mode allowed. */
  readonly mode: number;
  readonly kind: 'ours' | 'engine';
  /** For services other than the agent: the required owner. */
  readonly user?: string;
  /** The required group; absent: any, because the mode gives it nothing. */
  readonly group?: string;
}

interface Found extends Rule {
  readonly actual: number;
  readonly owner: number;
  readonly groupId: number;
}

/** Name → id. */
type Ids = ReadonlyMap<string, number>;

interface Accounts {
  /** Id of the user that runs the doctor. */
  readonly self: number;
  readonly users: Ids;
  readonly groups: Ids;
}

type Problem = 'too-open' | 'wrong-owner' | 'wrong-group' | 'engine-open';

export const files = defineCheck({
  name: 'files',
  about:
    'Keys, certificates, tokens, settings, sockets, backups, and the state of agent, proxy and hub are readable only by their owner.',
  problems: {
    'too-open': {
      level: 'fail',
      says: '{path} has mode {actual}: other users on this host can access it.',
      mend: 'Run `chmod {mode} {path}`. If others have accounts here, they may have read it: for keys, enrol the host again; for settings, the hub and its backups, create new tokens; for certificates, request new ones with new keys.',
      fix: 'safe',
    },
    'wrong-owner': {
      level: 'fail',
      says: '{path} belongs to user {owner}, not to user {user}.',
      mend: 'Run `chown {user} {path}`.',
    },
    'wrong-group': {
      level: 'warn',
      says: '{path} belongs to group {groupId}, not to group {group}.',
      mend: 'Run `chgrp {group} {path}`, unless the group is yours, and only the proxy is in it.',
    },
    'engine-open': {
      level: 'fail',
      says: '{path} has mode {actual}: every user on this host can become root through Docker.',
      mend: 'Run `chmod {mode} {path}`. Then find out what opened it: `systemctl cat docker.socket`.',
      fix: 'safe',
    },
  },
  async gather(subject) {
    const found = await Promise.all(rulesOf(subject).map(lookAt));
    const etc = join(subject.places.root, 'etc');
    const [users, groups] = await Promise.all([idsIn(join(etc, 'passwd')), idsIn(join(etc, 'group'))]);
    const accounts: Accounts = { self: process.geteuid?.() ?? 0, users, groups };
    return { found: found.filter((one) => one !== null), accounts };
  },
  judge: ({ found, accounts }) => ({
    summary: `${found.length} files and sockets checked`,
    findings: found.flatMap((one) => judgeOne(one, accounts)),
  }),
  async fix({ values }) {
    const [path, mode] = [String(values?.['path']), String(values?.['mode'])];
    await chmod(path, Number.parseInt(mode, 8));
    return `${path} has mode ${mode} now`;
  },
});

/** Deeper files lie below a state folder, which no other user may enter. Files that do not exist are skipped. */
const rulesOf = (subject: Subject): Rule[] => [...agentRules(subject), ...serviceRules(subject)];

const agentRules = ({
  config: { stateFolder, agentSocket, proxySocket, dockerSocket, sandboxFolder },
}: Subject): Rule[] => [
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

/**
 * As installer/install/ and the units create them. Only in an installation do hub and proxy have users of their own.
 */
function serviceRules({ config, places }: Subject): Rule[] {
  const { settings, hubState } = layoutAt(places.root);
  const state = dirname(config.stateFolder);
  const isInstalled = dirname(hubState) === state;
  return [
    ...['agent.env', 'proxy.env', 'hub.env', 'admin-token'].map((name): Rule => ({
      path: join(settings, name),
      mode: 0o600,
      kind: 'ours',
      user: 'root',
    })),
    // Holds the keys of the owner's certificates, which the proxy reads by its group.
    { path: join(settings, 'certificates'), mode: 0o750, kind: 'ours', user: 'root', group: 'orkestr-proxy' },
    ...['hub', 'proxy'].map((name): Rule => ({
      path: join(state, name),
      mode: 0o700,
      kind: 'ours',
      ...(isInstalled && { user: `orkestr-${name}` }),
    })),
    // They hold the keys of the hub.
    { path: join(dirname(hubState), 'backups'), mode: 0o700, kind: 'ours', user: 'orkestr-hub' },
  ];
}

/** From passwd(5) or group(5). Without the file, owners or groups are not checked. */
async function idsIn(file: string): Promise<Ids> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return new Map(text.split('\n').map((line) => [line.split(':')[0] ?? '', Number(line.split(':')[2])]));
}

/** Follows links, which the owner may use: as with `chmod` and `chown`, the target counts. */
async function lookAt(rule: Rule): Promise<Found | null> {
  try {
    const { mode, uid, gid } = await stat(rule.path);
    return { ...rule, actual: mode & 0o777, owner: uid, groupId: gid };
  } catch (error) {
    // A missing file cannot be read by others; whether it should exist is for other checks.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function judgeOne(found: Found, { self, users, groups }: Accounts): Finding<Problem>[] {
  const { path, mode, kind, actual, owner, user, groupId, group } = found;
  const values = { path, actual: octal(actual), mode: octal(actual & mode), owner, user: user ?? self };
  // Root may own the agent's files: it can read them anyway.
  const rightful = user === undefined ? [self, 0] : [users.get(user) ?? owner];
  const foreign = !rightful.includes(owner) && kind === 'ours' && !path.endsWith('.sock');
  const isOfOthers = group !== undefined && (groups.get(group) ?? groupId) !== groupId;
  return [
    ...when((actual & ~mode) !== 0, { problem: kind === 'ours' ? 'too-open' : 'engine-open', values }),
    ...when(foreign, { problem: 'wrong-owner', values }),
    ...when(isOfOthers, { problem: 'wrong-group', values: { path, groupId, group: group ?? '' } }),
  ];
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');
