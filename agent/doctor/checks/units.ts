/** systemd units, if systemd runs the machine. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../lib/exec.ts';
import { layoutAt } from '../../upgrade/layout.ts';
import { HUB_UNIT, HUB_UNITS } from '../../upgrade/services.ts';
import { defineCheck, when } from '../check.ts';
import type { Finding } from '../check.ts';

const BACKUP = 'orkestr-hub-backup.service';
const UNITS = [
  'orkestr-agent.service',
  'orkestr-firewall.service',
  'orkestr-proxy.service',
  'orkestr-proxy.socket',
  'orkestr-proxy-tls.socket',
  'orkestr-proxy-admin.socket',
  'orkestr-build.service',
  'orkestr-upgrade.service',
  HUB_UNIT,
  BACKUP,
  'docker.service',
];
/** May be inactive: the first is stopped when all builds are ended, the others run only during an upgrade or backup. */
const AT_TIMES = ['orkestr-build.service', 'orkestr-upgrade.service', BACKUP];
const INSTALL_AGAIN =
  "run install.sh again with `sh /opt/orkestr/current/install.sh`, on the hub's own host `sh /opt/orkestr/current/install.sh --hub-here`.";
const FIELDS = ['Id', 'LoadState', 'ActiveState', 'SubState', 'Result', 'NRestarts', 'UnitFileState'];
const MANY_RESTARTS = 5;
const LOOK_MS = 1000;

type Unit = Readonly<Record<string, string>>;

type Problem = 'failed' | 'restarting' | 'inactive' | 'disabled' | 'restarts' | 'masked' | 'unloadable' | 'gone';

interface Facts {
  readonly shown: readonly Unit[];
  /** Units that install.sh installs on this host. */
  readonly installed: readonly string[];
}

export const units = defineCheck({
  name: 'units',
  about: 'The units of orkestr and Docker are active and come back after a reboot.',
  problems: {
    failed: {
      level: 'fail',
      says: '{unit} has failed ({result}).',
      mend: '`journalctl -u {unit} -n 50 --no-pager` shows why. Then run `systemctl reset-failed {unit} && systemctl start {unit}`.',
    },
    restarting: {
      level: 'fail',
      says: '{unit} has exited ({result}) and is about to be restarted.',
      mend: '`journalctl -u {unit} -n 50 --no-pager` shows why; systemd keeps restarting it.',
    },
    inactive: { level: 'fail', says: '{unit} is not active ({state}).', mend: 'Run `systemctl start {unit}`.' },
    disabled: {
      level: 'warn',
      says: '{unit} is not started at boot ({state}).',
      mend: 'Run `systemctl enable {unit}`.',
    },
    restarts: {
      level: 'warn',
      says: '{unit} was restarted {count} times since boot.',
      mend: '`journalctl -u {unit} -p warning --no-pager | tail -50` shows why.',
    },
    masked: {
      level: 'fail',
      says: '{unit} is masked: systemd does not start it, at boot or on request.',
      mend: `Run \`systemctl unmask {unit} && systemctl enable --now {unit}\`. If its file is then not found, ${INSTALL_AGAIN}`,
    },
    unloadable: {
      level: 'fail',
      says: 'systemd cannot read {unit} ({state}): once stopped, it will not start again.',
      mend: '`systemd-analyze verify {unit}` shows why, `systemctl cat {unit}` its file and drop-ins. Correct the error, then run `systemctl daemon-reload && systemctl restart {unit}`.',
    },
    gone: {
      level: 'fail',
      says: '{unit} no longer exists.',
      mend: `Its file was removed: ${INSTALL_AGAIN}`,
    },
  },
  async gather({ places, exec }, signal): Promise<Facts | null> {
    if (!existsSync(places.systemd)) return null;
    const argv = ['show', '--no-pager', `--property=${FIELDS.join(',')}`, '--', ...UNITS];
    const { stdout } = await run('systemctl', argv, { timeoutMs: LOOK_MS, signal }, exec);
    return { shown: unitsOf(stdout), installed: installedAt(places.root) };
  },
  judge(facts) {
    if (facts === null) return { skipped: 'systemd does not run this machine' };
    const expected = facts.shown.filter(
      ({ Id = '', LoadState }) => LoadState !== 'not-found' || facts.installed.includes(Id),
    );
    return {
      summary: expected.map(inShort).join(', ') || 'none of ours is installed',
      findings: expected.flatMap(judgeUnit),
    };
  },
});

/** Units of the current release; those of the hub only if a hub was installed. */
function installedAt(root: string): readonly string[] {
  const { current, settings } = layoutAt(root);
  const released = UNITS.filter((unit) => existsSync(join(current, 'units', unit)));
  return existsSync(join(settings, 'hub.env')) ? released : released.filter((unit) => !HUB_UNITS.includes(unit));
}

const inShort = ({ Id = '', LoadState = '', ActiveState = '' }: Unit): string =>
  `${Id} ${LoadState === 'loaded' ? ActiveState : LoadState}`;

/** The output of `systemctl show`: `Name=value` lines, units separated by an empty line. */
const unitsOf = (text: string): readonly Unit[] =>
  text
    .trim()
    .split(/\n\n+/)
    .map((block) =>
      Object.fromEntries(
        block.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      ),
    );

/** The first word of the load state decides; if systemd could not load the unit, the other fields mean nothing. */
function judgeUnit(fields: Unit): Finding<Problem>[] {
  const { Id: unit = '', LoadState: load = '' } = fields;
  switch (load) {
    case 'not-found':
      return [{ problem: 'gone', values: { unit } }];
    case 'masked':
      return [{ problem: 'masked', values: { unit } }];
    case 'bad-setting':
    case 'error':
      return [{ problem: 'unloadable', values: { unit, state: load } }];
    default:
      return judgeLoaded(fields);
  }
}

function judgeLoaded(fields: Unit): Finding<Problem>[] {
  const { Id: unit = '', ActiveState: state = '', SubState: sub = '', Result: result = '' } = fields;
  const enabled = fields['UnitFileState'] ?? '';
  const restarts = Number(fields['NRestarts'] ?? 0);
  const isAtRest = state === 'inactive' && !AT_TIMES.includes(unit);
  return [
    ...when(state === 'failed', { problem: 'failed', values: { unit, result } }),
    ...when(sub === 'auto-restart', { problem: 'restarting', values: { unit, result } }),
    ...when(isAtRest, { problem: 'inactive', values: { unit, state: `${state}, ${sub}` } }),
    ...when(enabled === 'disabled', { problem: 'disabled', values: { unit, state: enabled } }),
    ...when(restarts >= MANY_RESTARTS, { problem: 'restarts', values: { unit, count: restarts } }),
  ];
}
