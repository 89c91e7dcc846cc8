/** A host that was installed a moment ago has nothing to mend, says the doctor, and says it at once. */
import { z } from 'zod';
import type { LabHost } from '../host.ts';

/** Most that it may take (issue 5), ms. */
const MOST_MS = 2000;
const WAIT_S = 1.2;

const Report = z.object({
  ms: z.number(),
  checks: z.array(z.object({ name: z.string(), problems: z.array(z.object({ level: z.string(), says: z.string() })) })),
});

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
