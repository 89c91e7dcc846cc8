/**
 * Step 5, health: probes until the app is healthy, or says why it is not. Changes nothing, so there is nothing to undo.
 */
import { resolveCheck, tryOnce } from '../../probe/index.ts';
import type { ProbeSubject } from '../../probe/index.ts';
import type { Domain } from '../../../protocol/edge.ts';
import type { HealthReport, Listener } from '../../../protocol/steps.ts';
import { diagnose, TAIL_LINES } from '../diagnosis.ts';
import { isOpen, otherPort } from '../port.ts';
import type { Step, StepContext } from '../step.ts';
import { ensureRunning, untilExit, untilItHasRun } from '../still-running.ts';

/**
 * A failed probe that had less time than this, at the end of the budget, must not hide the result of the one before it.
 */
const LEAST_PROBE_MS = 1000;

/** The least pause after a failed probe and after a successful one, ms. */
const LEAST_PAUSE_MS = { failed: 10, ok: 25 } as const;
/**
 * The pause is also at least this share of the time since the start: an app that is up soon is noticed soon, and one
 * that is not is not hammered. An app that takes long to start also takes longer to settle, so its successful probes
 * are spread out likewise.
 */
const PAUSE_SHARE = { failed: 0.1, ok: 0.2 } as const;

export const health: Step<'health'> = {
  name: 'health',

  async run(context) {
    const over = new AbortController();
    const signal = AbortSignal.any([context.signal, over.signal]);
    try {
      // A container that exits is noticed at once, not at the end of the probe or the pause.
      return await Promise.race([untilPassed(context, signal), untilExit(context, signal)]);
    } finally {
      over.abort();
    }
  },
};

function untilPassed(context: StepContext, signal: AbortSignal): Promise<HealthReport> {
  const { healthCheck } = context.job.settings;
  if (healthCheck.kind === 'running') return untilItHasRun(context, healthCheck.runSeconds, signal);
  return untilHealthy(context, resolveCheck(healthCheck, context.output('build').hasHealthcheck), signal);
}

async function untilHealthy(
  context: StepContext,
  check: ReturnType<typeof resolveCheck>,
  signal: AbortSignal,
): Promise<HealthReport> {
  const { output, ports, log } = context;
  const { clock } = ports;
  const search = portSearch(context, check.intervalSeconds * 1000);
  const started = clock.monotonic();
  const remaining = (): number => started + check.startSeconds * 1000 - clock.monotonic();
  let attempts = 0;
  let successes = 0;
  let last = '';
  /** Read while waiting for the next probe: the app's open ports do not change between two successful ones. */
  let listening: Promise<Listener[] | null> | null = null;
  while (remaining() > 0) {
    const timeoutMs = Math.ceil(Math.min(check.timeoutSeconds * 1000, remaining()));
    const { ok, got } = await tryOnce(check, subjectOf(context, search.port()), timeoutMs, signal);
    attempts += 1;
    successes = ok ? successes + 1 : 0;
    listening = ok ? (listening ?? listenersOf(context)) : null;
    const hurried = timeoutMs < Math.min(LEAST_PROBE_MS, check.timeoutSeconds * 1000);
    if (withoutTime(got) !== withoutTime(last)) log.line(`${check.kind} probe ${attempts}: ${got}`);
    if (ok || !hurried || last === '') last = got;
    if (successes >= check.successes) {
      const ms = clock.monotonic() - started;
      const listeners = (await listening) ?? [];
      log.line(`healthy after ${Math.round(ms)} ms and ${attempts} probes`);
      return { probe: check.kind, attempts, ms, last: got, listeners, foundPort: search.found() };
    }
    if (!ok) await search.lookAround();
    const pause = pauseMs(clock.monotonic() - started, ok, check.intervalSeconds * 1000);
    await clock.sleep(Math.min(pause, Math.max(remaining(), 0)), signal);
  }
  await ensureRunning(context, ({ running, oomKilled }) => running && !oomKilled);
  const { port, portFrom, containerName } = output('deploy');
  throw diagnose({
    port,
    portFrom,
    budgetSeconds: check.startSeconds,
    last,
    listeners: await listenersOf(context),
    tail: await ports.containers.tail(containerName, TAIL_LINES),
  });
}

/** The interval is the longest pause. It is reached when the start takes several times as long. */
function pauseMs(sinceStart: number, ok: boolean, interval: number): number {
  const result = ok ? 'ok' : 'failed';
  return Math.min(interval, Math.max(sinceStart * PAUSE_SHARE[result], LEAST_PAUSE_MS[result]));
}

/** A result that differs from the one before only in its time is not logged again. */
const withoutTime = (got: string): string => got.replace(/ in \d+ ms/, '');

/** A name that visitors use: apps may reject others. For a wildcard, any name that it covers. */
function probedHost(domains: readonly Domain[]): string | undefined {
  const exact = domains.find(({ host }) => !host.startsWith('*.'));
  return exact?.host ?? domains[0]?.host.replace('*', 'www');
}

/** Consecutive looks that must find the same other port open: an app may open one for metrics or a debugger first. */
const SAME_PORT_TIMES = 3;

interface PortSearch {
  /** The port to probe. */
  port(): number;
  /** That port, if it is not the guessed one. */
  found(): number | null;
  /**
   * Called after a failed probe. If the port was a guess and the app keeps exactly one other open, that one is probed
   * from now on, until the guessed one opens too: a helper such as Erlang's epmd may be there long before the app.
   */
  lookAround(): Promise<void>;
}

/** @param interval ms between two looks: more frequent looks would all see only what opens first */
function portSearch(context: StepContext, interval: number): PortSearch {
  const { port, portFrom, portGuessed } = context.output('deploy');
  let found: number | null = null;
  let seen: { readonly port: number | null; readonly times: number } = { port: null, times: 0 };
  const { clock } = context.ports;
  let nextLook = clock.monotonic() + interval;
  return {
    port: () => found ?? port,
    found: () => found,
    async lookAround() {
      if (!portGuessed || clock.monotonic() < nextLook) return;
      nextLook = clock.monotonic() + interval;
      const listeners = (await listenersOf(context)) ?? [];
      if (found !== null) {
        if (!isOpen(port, listeners)) return;
        context.log.line(`port ${port} is open now: going back from ${found} to it`);
        found = null;
        return;
      }
      const other = otherPort(port, listeners);
      seen = { port: other, times: other !== null && other === seen.port ? seen.times + 1 : 1 };
      if (other === null || seen.times < SAME_PORT_TIMES) return;
      found = other;
      context.log.line(`port ${port} was a guess (${portFrom}), and the app opened only ${other}: taking that one`);
    },
  };
}

function subjectOf({ job, output, ports }: StepContext, port: number): ProbeSubject {
  const { address, containerName } = output('deploy');
  return {
    address,
    port,
    host: probedHost(job.settings.domains),
    async imageHealth() {
      const state = await ports.containers.inspect(containerName);
      return { state: state?.imageHealth ?? null, output: state?.imageHealthOutput ?? null };
    },
    exec: async (argv, timeoutMs) => ports.containers.exec(containerName, argv, timeoutMs),
    monotonic: () => ports.clock.monotonic(),
  };
}

/** Listening sockets, or null if they cannot be read: they are evidence and decide nothing. */
async function listenersOf({ output, ports, log }: StepContext): Promise<Listener[] | null> {
  try {
    return [...(await ports.containers.listeners(output('deploy').containerName))];
  } catch (error) {
    // The verdict stands without them, and hiding it behind this error would be worse. The log records it.
    log.line(`listening sockets could not be read: ${String(error)}`);
    return null;
  }
}
