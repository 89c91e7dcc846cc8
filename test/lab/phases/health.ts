/** The health of a host, as it reports it. */
import { z } from 'zod';
import type { LabHost } from '../host.ts';

/** Maximum duration (issue 5), ms. */
const MOST_MS = 2000;
const WAIT_S = 1.2;

const Report = z.object({
  ms: z.number(),
  checks: z.array(z.object({ name: z.string(), problems: z.array(z.object({ level: z.string(), says: z.string() })) })),
});

/** On a host that was just installed, the doctor reports nothing to fix, and within the limit. */
export async function nothingToMend(host: LabHost): Promise<void> {
  const { stdout, stderr } = await host.run(['orkestr-agent', 'doctor', '--json', `--wait=${WAIT_S * host.slowness}`]);
  if (stdout === '') throw new Error(stderr);
  const { ms, checks } = Report.parse(JSON.parse(stdout));
  const failures = checks.flatMap(({ name, problems }) =>
    problems.filter(({ level }) => level === 'fail').map(({ says }) => `${name}: ${says}`),
  );
  if (failures.length > 0) throw new Error(`the doctor of ${host.name} finds\n${failures.join('\n')}`);
  const most = MOST_MS * host.slowness;
  if (ms > most) throw new Error(`the doctor of ${host.name} took ${ms} ms; the limit is ${most} ms`);
}

const Status = z.object({ checks: z.record(z.string(), z.object({ level: z.string(), summary: z.string() })) });
/** A CA could not sign a certificate for any app name in a lab. */
const NEVER_OK = 'certificates';

export async function allIsWell(host: LabHost): Promise<void> {
  const { stdout, stderr } = await host.run(['orkestr-agent', 'status', '--json', '--wait', '20']);
  if (stdout === '') throw new Error(stderr);
  const wrong = Object.entries(Status.parse(JSON.parse(stdout)).checks).filter(
    ([name, { level }]) => level !== 'ok' && name !== NEVER_OK,
  );
  const told = wrong.map(([name, { level, summary }]) => `${name} is ${level}: ${summary}`);
  if (told.length > 0) throw new Error(`the status of ${host.name} says\n${told.join('\n')}`);
}
