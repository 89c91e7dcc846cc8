/** `orkestr-agent doctor` as a person runs it. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DoctorReport } from '../../../agent/doctor/doctor.ts';
import type { Mended } from '../../../agent/doctor/fix.ts';
import { LABEL } from '../../../agent/lib/labels.ts';
import { runProgram } from '../../../installer/stack/run-program.ts';
import type { ProgramResult } from '../../../installer/stack/run-program.ts';
import { agentArgv } from '../../../installer/stack/stack.ts';
import { ourEnv } from '../../harness/our-program.ts';
import { Host } from './host.ts';

type Answer = DoctorReport & { readonly mended?: readonly Mended[] };

/** The machine may be busy with other tests. */
const PATIENT = ['--wait', '60'];

/** Runs it in the network namespace `net`, if given: a path. */
function doctor(env: NodeJS.ProcessEnv, args: readonly string[], net?: string): Promise<ProgramResult> {
  const argv = [...agentArgv(), 'doctor', ...args] as const;
  return runProgram(net === undefined ? argv : ['nsenter', `--net=${net}`, '--', ...argv], { env: ourEnv(env) });
}

const problemsOf = ({ stdout }: ProgramResult): string[] =>
  (JSON.parse(stdout) as Answer).checks.flatMap(({ problems }) => problems.map(({ id }) => id));

describe('orkestr-agent doctor', () => {
  let host: Host;
  const env = (): NodeJS.ProcessEnv => ({
    ORKESTR_AGENT_STATE: host.config.stateFolder,
    ORKESTR_AGENT_RUN: join(host.config.agentSocket, '..'),
    ORKESTR_PROXY_SOCKET: host.config.proxySocket,
    ORKESTR_DOCKER_SOCKET: host.config.dockerSocket,
  });
  /** Runs in the network namespace with this host's firewall rules, so that the machine's own rules are not touched. */
  const fix = async (...args: string[]): Promise<readonly Mended[]> => {
    const net = `/proc/${await host.enginePid()}/ns/net`;
    const { stdout } = await doctor(env(), ['--fix', '--json', ...PATIENT, ...args], net);
    return (JSON.parse(stdout) as Answer).mended ?? [];
  };

  before(async () => {
    host = await Host.start();
  });
  after(() => host.stop());

  test('works without hub, agent, proxy, Docker and state', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'ork-doctor-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const nowhere = {
      ORKESTR_AGENT_STATE: join(folder, 'state'),
      ORKESTR_AGENT_RUN: folder,
      ORKESTR_PROXY_SOCKET: join(folder, 'proxy.sock'),
      ORKESTR_DOCKER_SOCKET: join(folder, 'docker.sock'),
    };
    const asked = await doctor(nowhere, ['--json', ...PATIENT]);
    assert.equal(asked.code, 2, asked.stderr);
    for (const id of ['proxy/absent', 'agent/absent', 'engine/unreachable'])
      assert.ok(problemsOf(asked).includes(id), id);
    const read = await doctor(nowhere, PATIENT);
    assert.match(read.stdout, /fail +engine +does not answer/);
    assert.match(read.stdout, /mend: Run `systemctl start docker`/);
  });

  test('--yes alone is refused', async () => {
    const { code, stderr } = await doctor({}, ['--yes']);
    assert.equal(code, 1);
    assert.match(stderr, /ORK_INVALID: --yes needs --fix/);
  });

  test('shows its options and examples with --help', async () => {
    const { code, stdout } = await doctor({}, ['--help']);
    assert.equal(code, 0);
    for (const word of ['--json', '--fix', '--yes', '--bundle', 'Examples:']) assert.ok(stdout.includes(word), word);
  });

  test('does not hang with an unresponsive engine', async (t) => {
    const pid = await host.enginePid();
    process.kill(pid, 'SIGSTOP');
    t.after(() => process.kill(pid, 'SIGCONT'));
    // The command ends while the engine still hangs.
    const asked = await doctor(env(), ['--json', '--wait', '4']);
    process.kill(pid, 'SIGCONT');
    assert.ok(problemsOf(asked).includes('engine/hangs'));
    const { ms } = JSON.parse(asked.stdout) as Answer;
    t.diagnostic(`all checks beside a hung engine: ${ms} ms`);
  });

  test('--fix corrects file modes, says so, and has nothing to do the second time', async () => {
    chmodSync(host.state, 0o755);
    chmodSync(join(host.state, 'secret.key'), 0o640);
    const mended = await fix();
    assert.deepEqual(
      mended.map(({ ok }) => ok),
      [true, true],
    );
    assert.match(mended[0]?.told ?? '', /has mode 0700 now/);
    assert.equal(statSync(host.state).mode & 0o777, 0o700);
    assert.equal(statSync(join(host.state, 'secret.key')).mode & 0o777, 0o600);
    assert.deepEqual(await fix(), []);
  });

  test('--fix removes nothing; --fix --yes removes only our leftovers', async (t) => {
    host.makeContainer('left-over');
    host.makeContainer('of-another-agent', { [LABEL.scope]: 'ffffffff' });
    t.after(() => host.docker('rm', '--force', 'of-another-agent'));
    const names = (): string[] => host.docker('ps', '--all', '--format', '{{.Names}}').split('\n').toSorted();
    const before = names();
    await fix();
    assert.deepEqual(names(), before);
    const mended = await fix('--yes');
    assert.deepEqual(
      mended.map(({ told }) => told),
      ['the container left-over is removed'],
    );
    assert.deepEqual(
      names(),
      before.filter((name) => name !== 'left-over'),
    );
  });
});
