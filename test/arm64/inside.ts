/** The first process of the namespaces: everything it starts or mounts disappears with it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ReleasedHost } from '../../installer/release/released-host.ts';
import { CHECKS } from './checks.ts';
import { enterEmulation } from './emulation.ts';
import type { Plan } from './plan.ts';

interface Outcome {
  readonly name: string;
  readonly seconds: number;
  readonly ok: boolean;
  readonly said: string;
}

async function main(plan: Plan): Promise<number> {
  await enterEmulation(plan);
  const state = join(plan.folder, 'state');
  mkdirSync(state);
  const host = new ReleasedHost(state, (name) => ['chroot', plan.tree, join(plan.unpacked, 'bin', name)]);
  const checks: Outcome[] = [];
  for (const [name, check] of CHECKS) {
    const began = performance.now();
    const [ok, said] = await check({ plan, host, state }).then(
      (text) => [true, text] as const,
      (error: unknown) =>
        [false, error instanceof Error ? `${error.message}\n${reasonOf(error)}`.trim() : String(error)] as const,
    );
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    process.stderr.write(`${ok ? '✓' : '✗'} ${name.padEnd(50)} ${seconds.toFixed(1).padStart(5)} s  ${said}\n`);
    checks.push({ name, seconds, ok, said });
  }
  console.log(JSON.stringify({ checks }));
  return checks.every(({ ok }) => ok) ? 0 : 1;
}

/** The end of a program's output, which our errors carry. */
const reasonOf = (error: object): string =>
  'evidence' in error && Array.isArray(error.evidence) ? error.evidence.join('\n') : '';

process.exit(await main(JSON.parse(process.argv[2] ?? '')));
