/** Tries a release where it is to run, before anything is switched: each of its programs, and its agent's own trial. */
import { OrkestrError } from '../../protocol/errors.ts';
import { parseJson } from '../../protocol/json.ts';
import { exec } from '../lib/exec.ts';
import type { ExecResult } from '../lib/exec.ts';
import { hasHub, programOf } from './layout.ts';
import type { Layout } from './layout.ts';
import { TrialReport } from './trial.ts';

const PROGRAM_MS = 60_000;
const TRIAL_MS = 120_000;
/** Number of output lines kept: enough for a Node.js error with its stack. */
const MOST_LINES = 25;

/** @throws OrkestrError ORK_UPGRADE_TRIAL with the failures as evidence */
export async function rehearse(layout: Layout, version: string): Promise<void> {
  for (const name of ['orkestr-proxy', 'orkestr', ...(hasHub(layout) ? ['orkestr-hub'] : [])]) {
    const said = await tryProgram(programOf(layout, version, name), ['--version'], PROGRAM_MS);
    if (said.exitCode !== 0 || said.stdout.trim() !== version) {
      throw refusal(`${name} of orkestr ${version} does not start on this host.`, linesOf(said));
    }
  }
  const said = await tryProgram(programOf(layout, version, 'orkestr-agent'), ['trial', '--json'], TRIAL_MS);
  const report = TrialReport.safeParse(parseJson(said.stdout));
  if (!report.success) throw refusal(`The agent of orkestr ${version} did not pass its trial.`, linesOf(said));
  const wrong = report.data.checks.filter(({ ok }) => !ok);
  if (report.data.ok && said.exitCode === 0) return;
  throw refusal(
    `orkestr ${version} would not work on this host: ${wrong.map(({ name }) => name).join(', ')}.`,
    wrong.map(({ name, told }) => `${name}: ${told}`),
  );
}

async function tryProgram(program: string, args: readonly string[], timeoutMs: number): Promise<ExecResult> {
  try {
    return await exec(program, args, { timeoutMs });
  } catch (cause) {
    throw refusal(`${program} cannot be run here: ${String(cause)}.`, [], cause);
  }
}

const refusal = (message: string, evidence: readonly string[], cause?: unknown): OrkestrError =>
  new OrkestrError('ORK_UPGRADE_TRIAL', message, { evidence, cause });

const linesOf = ({ exitCode, stderr, stdout, timedOut }: ExecResult): readonly string[] => [
  timedOut ? 'it did not end in time' : `exit code ${exitCode ?? 'none (signal)'}`,
  ...(stderr.trim() || stdout.trim()).split('\n').slice(-MOST_LINES),
];
