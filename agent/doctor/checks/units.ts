/** Units of systemd, where systemd runs the machine. */
import { existsSync } from 'node:fs';
import { run } from '../../lib/exec.ts';
import { defineCheck, when } from '../check.ts';
import type { Finding } from '../check.ts';

const UNITS = [
  'orkestr-agent.service',
  'orkestr-firewall.service',
  'orkestr-proxy.service',
  'orkestr-proxy.socket',
  'orkestr-proxy-tls.socket',
  'orkestr-proxy-admin.socket',
  'orkestr-hub.service',
  'docker.service',
];
const FIELDS = ['Id', 'LoadState', 'ActiveState', 'SubState', 'Result', 'NRestarts', 'UnitFileState'];
const MANY_RESTARTS = 5;
const LOOK_MS = 1000;

type Unit = Readonly<Record<string, string>>;

export const units = defineCheck({
  name: 'units',
  about: 'The units of orkestr and Docker are active and come back after a reboot.',
  problems: {
    failed: {
      level: 'fail',
      says: '{unit} has failed ({result}).',
      mend: '`journalctl -u {unit} -n 50 --no-pager` says why; then `systemctl reset-failed {unit} && systemctl start {unit}`.',
    },
    restarting: {
      level: 'fail',
      says: '{unit} has ended ({result}) and is about to be started again.',
      mend: '`journalctl -u {unit} -n 50 --no-pager` says why; it is started until it stays.',
    },
    inactive: { level: 'fail', says: '{unit} is not active ({state}).', mend: '`systemctl start {unit}`.' },
    disabled: {
      level: 'warn',
      says: '{unit} is not started at boot ({state}).',
      mend: '`systemctl enable {unit}`.',
    },
    restarts: {
      level: 'warn',
      says: '{unit} was restarted {count} times since boot.',
      mend: '`journalctl -u {unit} -p warning --no-pager | tail -50` says why.',
    },
  },
  async gather({ places, exec }, signal) {
    if (!existsSync(places.systemd)) return null;
    const argv = ['show', '--no-pager', `--property=${FIELDS.join(',')}`, '--', ...UNITS];
    const { stdout } = await run('systemctl', argv, { timeoutMs: LOOK_MS, signal }, exec);
    return unitsOf(stdout);
  },
  judge(found) {
    if (found === null) return { skipped: 'systemd does not run this machine' };
    const present = found.filter((unit) => unit['LoadState'] === 'loaded');
    return {
      summary: present.map((unit) => `${unit['Id']} ${unit['ActiveState']}`).join(', ') || 'none of ours is installed',
      findings: present.flatMap(judgeUnit),
    };
  },
});

/** The output of `systemctl show`: `Name=value` lines, units apart by an empty line. */
const unitsOf = (text: string): readonly Unit[] =>
  text
    .trim()
    .split(/\n\n+/)
    .map((block) =>
      Object.fromEntries(
        block.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      ),
    );

function judgeUnit(fields: Unit): Finding<'failed' | 'restarting' | 'inactive' | 'disabled' | 'restarts'>[] {
  const { Id: unit = '', ActiveState: state = '', SubState: sub = '', Result: result = '' } = fields;
  const enabled = fields['UnitFileState'] ?? '';
  const restarts = Number(fields['NRestarts'] ?? 0);
  return [
    ...when(state === 'failed', { problem: 'failed', values: { unit, result } }),
    ...when(sub === 'auto-restart', { problem: 'restarting', values: { unit, result } }),
    ...when(state === 'inactive', { problem: 'inactive', values: { unit, state: `${state}, ${sub}` } }),
    ...when(enabled === 'disabled' || enabled === 'masked', { problem: 'disabled', values: { unit, state: enabled } }),
    ...when(restarts >= MANY_RESTARTS, { problem: 'restarts', values: { unit, count: restarts } }),
  ];
}
