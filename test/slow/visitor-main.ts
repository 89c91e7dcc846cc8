/** The visitor as a process of its own: on a processor that others keep busy, it goes first. */
import { setPriority } from 'node:os';
import { visit } from './visitor.ts';
import type { Errand } from './visitor-process.ts';

setPriority(-10);
process.on('message', ({ port, host, seconds }: Errand) => {
  void visit(port, host, seconds).then((met) => process.send?.(met));
});
