/**
 * The life of one deployment on this host, as a pure transition function.
 *
 *     queued ─ start ─► running ─ finish ─► live ─ supersede ─► superseded
 *       │                 │ └── fail-forward ──► failed   (past the flip: nothing is undone)
 *       │               fail, cancel
 *       │                 ▼
 *       └─ cancel ─┐   undoing ─ end ─► failed | cancelled   (by the cause)
 *                  ▼
 *              cancelled
 *
 * A remove job takes the same path and ends `superseded`: nothing of its environment is left. A failed one starts over
 * as often as the hub sends it again. A build job ends `built`: the image is in its registry, and another host takes
 * over.
 */
import { OrkestrError } from '../../protocol/errors.ts';

export const DEPLOYMENT_STATES = [
  'queued',
  'running',
  'undoing',
  'built',
  'live',
  'superseded',
  'failed',
  'cancelled',
] as const;
export type DeploymentState = (typeof DEPLOYMENT_STATES)[number];

/** Event → state in which it may occur → state after it. Anything else cannot happen. */
const TRANSITIONS = {
  start: { queued: 'running' },
  /** A step failed, or a cancel came, before the flip. Next, what was done is undone. */
  fail: { running: 'undoing' },
  /** All is undone after a failure … */
  'end-failed': { undoing: 'failed' },
  /** … or after a cancel. */
  'end-cancelled': { undoing: 'cancelled' },
  finish: { running: 'live' },
  'hand-on': { running: 'built' },
  /** A step failed for good after the flip: the new version serves, so nothing is undone. */
  'fail-forward': { running: 'failed' },
  /**
   * A newer deployment serves, or the environment was removed. One that failed past the flip may serve too, hence from
   * `failed`; the removal's own job goes straight from `running`.
   */
  supersede: { live: 'superseded', failed: 'superseded', running: 'superseded' },
  refuse: { queued: 'failed' },
  cancel: { queued: 'cancelled' },
} as const satisfies Record<string, Partial<Record<DeploymentState, DeploymentState>>>;

export type DeploymentEvent = keyof typeof TRANSITIONS;
export const DEPLOYMENT_EVENTS = Object.keys(TRANSITIONS) as readonly DeploymentEvent[];

/** States in which nothing happens unless a newer deployment comes. */
const ENDED: ReadonlySet<DeploymentState> = new Set(['built', 'live', 'superseded', 'failed', 'cancelled']);

export const isEnded = (state: DeploymentState): boolean => ENDED.has(state);

/**
 * The state after `event`.
 * @throws OrkestrError ORK_INTERNAL if the event cannot happen in this state: a bug, never input
 */
export function transition(state: DeploymentState, event: DeploymentEvent): DeploymentState {
  const next = (TRANSITIONS[event] as Partial<Record<DeploymentState, DeploymentState>>)[state];
  if (next === undefined) throw new OrkestrError('ORK_INTERNAL', `A deployment that is ${state} cannot ${event}.`);
  return next;
}
