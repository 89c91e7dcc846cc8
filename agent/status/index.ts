/** All checks in reading order, and the overall level. */
import { setTimeout as delay } from 'node:timers/promises';
import { toErrorReport } from '../../protocol/errors.ts';
import { ANSWER_MS } from '../local-api/status-report.ts';
import type { Finding, Level, StatusReport } from '../local-api/status-report.ts';
import { agent } from './agent.ts';
import { apps } from './apps.ts';
import { certificates } from './certificates.ts';
import { cgroup } from './cgroup.ts';
import type { Check, StatusSubject } from './check.ts';
import { deployments } from './deployments.ts';
import { disk } from './disk.ts';
import { engine } from './engine.ts';
import { hub } from './hub.ts';
import { memory } from './memory.ts';
import { outbox } from './outbox.ts';
import { proxy } from './proxy.ts';
import { sandbox } from './sandbox.ts';
import { versions } from './versions.ts';

const CHECKS: readonly Check[] = [
  agent,
  hub,
  engine,
  proxy,
  apps,
  certificates,
  deployments,
  outbox,
  sandbox,
  disk,
  memory,
  cgroup,
  versions,
];

const RANK: Readonly<Record<Level, number>> = { ok: 0, degraded: 1, down: 2 };

/** Exit code of `orkestr-agent status`. */
export const exitCode = (level: Level): number => RANK[level];

/** Runs all checks concurrently. A failed check does not affect the others. */
export async function checkAll(subject: StatusSubject, checks: readonly Check[] = CHECKS): Promise<StatusReport> {
  const entries = await Promise.all(checks.map(async (check) => [check.name, await runOne(check, subject)] as const));
  const worst = entries.reduce<Level>((level, [, one]) => (RANK[one.level] > RANK[level] ? one.level : level), 'ok');
  return { level: worst, checks: Object.fromEntries(entries) };
}

/** Time that a check may need on top of the answers that it waits for, ms. A file system that hangs never answers. */
const MARGIN_MS = 300;

async function runOne(check: Check, subject: StatusSubject): Promise<Finding> {
  const over = new AbortController();
  try {
    return await Promise.race([check.run(subject), noResult((subject.answerMs ?? ANSWER_MS) + MARGIN_MS, over.signal)]);
  } catch (error) {
    // A check fails because its subject does not answer: that is its finding.
    const report = toErrorReport(error);
    return { level: 'down', summary: report.message, data: { error: report } };
  } finally {
    over.abort();
  }
}

async function noResult(ms: number, signal: AbortSignal): Promise<never> {
  await delay(ms, undefined, { signal });
  throw new Error(`no result in ${ms / 1000} s: something on the host hangs; \`orkestr-agent doctor\` shows what`);
}

/** Formats the report for a terminal. */
export function renderStatus(report: StatusReport): string {
  const width = Math.max(...Object.keys(report.checks).map((name) => name.length));
  const lines = Object.entries(report.checks).flatMap(([name, { level, summary, details = [] }]) => [
    `${level.padEnd(8)}  ${name.padEnd(width)}  ${summary}`,
    ...details.map((detail) => `${' '.repeat(width + 12)}${detail}`),
  ]);
  return `${lines.join('\n')}\n`;
}
