/** The visitor in a separate process, which has priority on a processor that others keep busy. */
import { setPriority } from 'node:os';
import { visit } from './visitor.ts';
import type { Errand } from './visitor-process.ts';

setPriority(-10);
process.on('message', ({ port, host, seconds }: Errand) => {
  void visit(port, host, seconds).then((met) => process.send?.(met));
});
