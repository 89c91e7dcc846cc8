/**
 * Which live apps are down, from what the rounds of reconcile see anyway. One crash that the app survives is no news,
 * and neither is a reboot: an app counts as down when it is in trouble again, or still, a minute after its trouble
 * began, and until it has run well for two minutes.
 */
import { type DownApp, MAX_DOWN_APPS } from '../../protocol/agent-link.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { Clock } from '../deployment/ports.ts';
import { KILLED } from '../lib/exit-code.ts';
import { endOf, type LastEnd, type SeenApp, troubleOf } from './app-trouble.ts';

/** How long an app must run without trouble to count as well, ms. */
const WELL_MS = 120_000;
/** Trouble that long after its beginning is more than a crash, ms. */
const LASTING_MS = 60_000;
/** A container ends within that of the kill that ended it, ms. */
const KILL_TO_END_MS = 10_000;
/** How long a new watch must have looked before silence about an app means that it is well, ms. */
const SETTLING_MS = 2 * WELL_MS;

export interface AppWatch {
  /** Takes what a round has seen. Apps that are not among `apps` are forgotten. */
  look(apps: readonly LookedApp[]): void;
  /** The engine's word that a container has ended. */
  exited(deploymentId: string, exitCode: number | null): void;
  /** The engine's word that a process of a container was killed for lack of memory. */
  killedForMemory(deploymentId: string): void;
  /** Null while the watch has not looked for long enough. */
  down(): DownApp[] | null;
}

/** `inOtherHands`: a deployment or removal decides what runs of it, and may have stopped it. */
export interface LookedApp extends SeenApp {
  readonly inOtherHands: boolean;
}

interface Trouble {
  /** Ms since 1970. */
  readonly since: number;
  /** Monotonic, ms. */
  readonly began: number;
  readonly error: ErrorReport;
  readonly lasts: boolean;
}

/** What is known of a live app. */
interface Watched {
  readonly environmentId: string;
  readonly deploymentId: string;
  /** The run that was seen last; null: none is known to which another could be compared. */
  readonly run: string | null;
  /** Since when it has run well, monotonic ms; null: it does not. */
  readonly wellSince: number | null;
  readonly end: LastEnd;
  /** When a process was last killed for lack of memory, monotonic ms; null: never. */
  readonly killedAt: number | null;
  readonly restarts: number;
  readonly trouble: Trouble | null;
}

interface Moment {
  /** Ms since 1970. */
  readonly now: number;
  /** Monotonic, ms. */
  readonly at: number;
}

export function makeAppWatch(clock: Pick<Clock, 'now' | 'monotonic'>): AppWatch {
  /** By deployment id; only those that are live. */
  let watched: ReadonlyMap<string, Watched> = new Map();
  let firstLook: number | null = null;

  const change = (deploymentId: string, to: (one: Watched) => Partial<Watched>): void => {
    const one = watched.get(deploymentId);
    // A deployment on its way to being live looks after its own container.
    if (one !== undefined) watched = new Map(watched).set(deploymentId, { ...one, ...to(one) });
  };

  return {
    look(apps) {
      const moment = { now: clock.now(), at: clock.monotonic() };
      firstLook ??= moment.at;
      watched = new Map(
        apps.map((app) => {
          const { deploymentId } = app.live;
          const before = watched.get(deploymentId) ?? unknown(app);
          return [deploymentId, app.inOtherHands ? { ...before, run: null } : afterLook(before, app, moment)];
        }),
      );
    },
    exited(deploymentId, exitCode) {
      const at = clock.monotonic();
      // The app itself may have survived: a command in its container, or a child process, was killed.
      change(deploymentId, ({ killedAt }) => ({
        end: { exitCode, oomKilled: exitCode === KILLED && killedAt !== null && at - killedAt < KILL_TO_END_MS },
      }));
    },
    killedForMemory(deploymentId) {
      const killedAt = clock.monotonic();
      change(deploymentId, () => ({ killedAt }));
    },
    down() {
      const at = clock.monotonic();
      if (firstLook === null || at - firstLook < SETTLING_MS) return null;
      const lasting = [...watched.values()].filter(({ trouble }) => trouble?.lasts);
      return lasting
        .filter((one) => !isWell(one, at))
        .flatMap(toReport)
        .slice(0, MAX_DOWN_APPS);
    },
  };
}

const unknown = ({ live: { environmentId, deploymentId } }: SeenApp): Watched => ({
  environmentId,
  deploymentId,
  run: null,
  wellSince: null,
  end: { exitCode: null, oomKilled: false },
  killedAt: null,
  restarts: 0,
  trouble: null,
});

const isWell = ({ wellSince }: Watched, at: number): boolean => wellSince !== null && at - wellSince >= WELL_MS;

function afterLook(before: Watched, app: SeenApp, moment: Moment): Watched {
  const { container } = app;
  const run = container === null ? null : `${container.id} ${container.startedAt}`;
  const isNewRun = run !== null && before.run !== null && run !== before.run;
  const end = endSeen(before.end, app);
  const now = troubleOf(app, end);
  const wellSince = now !== null ? null : isNewRun ? moment.at : (before.wellSince ?? moment.at);
  // An app that runs, but not as before, has ended meanwhile.
  const trouble = troubleAfter(before, now ?? (isNewRun ? endOf(end) : null), moment);
  return { ...before, run: run ?? before.run, wellSince, end, restarts: container?.restarts ?? 0, trouble };
}

/** The engine's event is as good as what a look finds, except for a container that was killed unnoticed. */
function endSeen(end: LastEnd, { container }: SeenApp): LastEnd {
  if (container === null || container.running || container.exitCode === null) return end;
  const { exitCode, oomKilled } = container;
  return { exitCode, oomKilled: oomKilled || (end.oomKilled && end.exitCode === exitCode) };
}

/** @param error what this look finds; null: nothing */
function troubleAfter(before: Watched, error: ErrorReport | null, { now, at }: Moment): Trouble | null {
  const old = isWell(before, at) ? null : before.trouble;
  if (error === null) return old;
  if (old === null) return { since: now, began: at, error, lasts: false };
  return { ...old, error, lasts: old.lasts || at - old.began >= LASTING_MS };
}

/** No apps without trouble. */
function toReport({ environmentId, deploymentId, end, restarts, trouble }: Watched): DownApp[] {
  if (trouble === null) return [];
  const { since, error } = trouble;
  return [
    { environmentId, deploymentId, since: new Date(since).toISOString(), exitCode: end.exitCode, restarts, error },
  ];
}
