/** A release on an emulated host. */
import type { ReleasedHost } from '../../installer/release/released-host.ts';
import type { Plan } from './plan.ts';

export interface Subject {
  readonly plan: Plan;
  readonly host: ReleasedHost;
  /** Where the programs keep their state. */
  readonly state: string;
}
