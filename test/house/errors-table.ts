/** docs/errors.md, generated from the catalogue. `node test/house/errors-table.ts` writes the file. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERRORS } from '../../protocol/error-catalogue.ts';
import type { Fault } from '../../protocol/error-kind.ts';
import { ROOT } from '../../installer/stack/stack.ts';

export const ERRORS_FILE = 'docs/errors.md';

const WHOSE: Readonly<Record<Fault, string>> = {
  user: 'the caller',
  repository: 'the repository',
  app: 'the app',
  host: 'the host',
  hub: 'the hub',
};

const HEAD = `# Errors

Every error of orkestr has a code: in API answers (problem+json), in the CLI, in the console, in logs and in deployment
records. A code is never reused for something else. The message beside it says what happened in this case; this table
says who can fix it, whether trying again without a change can help, and what to do.

Made from \`protocol/error-catalogue.ts\` by \`test/house/errors-table.ts\`; a test compares both ways.

| code | fixed by | retry? | HTTP | what to do |
|---|---|---|---|---|
`;

export const errorsDocument = (): string =>
  HEAD +
  Object.entries(ERRORS)
    .map(([code, { fault, retry, status, mend }]) => {
      const cells = [`\`${code}\``, WHOSE[fault], retry ? 'yes' : 'no', status, mend.replaceAll('|', '\\|')];
      return `| ${cells.join(' | ')} |\n`;
    })
    .join('');

if (process.argv[1] === import.meta.filename) writeFileSync(join(ROOT, ERRORS_FILE), errorsDocument());
