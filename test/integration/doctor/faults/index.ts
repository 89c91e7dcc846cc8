/** All faults. */
import { faults as agent } from './agent.ts';
import { faults as disk } from './disk.ts';
import { faults as edge } from './edge.ts';
import { faults as engine } from './engine.ts';
import { faults as files } from './files.ts';
import { faults as firewall } from './firewall.ts';
import { faults as hub } from './hub.ts';
import { faults as leftovers } from './leftovers.ts';
import { faults as names } from './names.ts';
import type { Fault } from './fault.ts';

export const FAULTS: readonly Fault[] = [
  ...engine,
  ...disk,
  ...files,
  ...edge,
  ...leftovers,
  ...hub,
  ...names,
  ...firewall,
  ...agent,
];
