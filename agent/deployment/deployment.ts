/**
 * The life of one deployment on this host, as a pure transition function.
 *
 *     queued ─ start ─► running ─ finish ─► live ─ supersede ─► superseded
 *       │                 │ └── lose ──► failed       (past the flip: only forward, nothing is undone)
 *       │               fail, cancel
 *       │                 ▼
 *       └─ cancel ─┐   undoing ─ undone ─► failed | cancelled   (by the cause)
 *                  ▼
 *              cancelled
 *
 * A remove job takes the same road and ends `superseded`: nothing of its environment is left.
 */
import { OrkestrError } from '../../protocol/errors.ts';

export const DEPLOYMENT_STATES = ['queued', 'running', 'undoing', 'live', 'superseded', 'failed', 'cancelled'] as const;
export type DeploymentState = (typeof DEPLOYMENT_STATES)[number];

export type DeploymentEvent =
  | { readonly kind: 'start' }
  /** A step failed, or a cancel came, before the flip. What was done is undone next. */
  | { readonly kind: 'fail' }
  /** All that was done is taken back; `cancelled` says which of the two ends it is. */
  | { readonly kind: 'undone'; readonly cancelled: boolean }
  | { readonly kind: 'finish' }
  /** A step failed for good after the flip: the new version serves, so nothing is undone. */
  | { readonly kind: 'lose' }
  /** A newer deployment serves, or the environment was removed. */
  | { readonly kind: 'supersede' }
  | { readonly kind: 'refuse' }
  | { readonly kind: 'cancel' };

/** States in which nothing happens any more unless a newer deployment comes. */
const ENDED: ReadonlySet<DeploymentState> = new Set(['live', 'superseded', 'failed', 'cancelled']);

export const isEnded = (state: DeploymentState): boolean => ENDED.has(state);

/**
 * The state after `event`.
 * @throws OrkestrError ORK_INTERNAL when the event cannot happen in this state: a bug, never input.
 */
export function transition(state: DeploymentState, event: DeploymentEvent): DeploymentState {
  const next = successor(state, event);
  if (next === null) {
    throw new OrkestrError('ORK_INTERNAL', `A deployment that is ${state} cannot ${event.kind}.`);
  }
  return next;
}

function successor(state: DeploymentState, event: DeploymentEvent): DeploymentState | null {
  switch (event.kind) {
    case 'start':
      return state === 'queued' ? 'running' : null;
    case 'fail':
      return state === 'running' ? 'undoing' : null;
    case 'undone':
      if (state !== 'undoing') return null;
      return event.cancelled ? 'cancelled' : 'failed';
    case 'finish':
      return state === 'running' ? 'live' : null;
    case 'lose':
      return state === 'running' ? 'failed' : null;
    case 'supersede':
      // A lost deployment may serve (its finalize failed), and the removal's own job goes straight from running.
      return state === 'live' || state === 'running' || state === 'failed' ? 'superseded' : null;
    case 'refuse':
      return state === 'queued' ? 'failed' : null;
    case 'cancel':
      return state === 'queued' ? 'cancelled' : null;
  }
}
