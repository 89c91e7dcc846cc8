/** docs/orkestr.schema.json, generated from the zod schema. `node test/house/orkestr-schema.ts` writes the file. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { orkestrJsonSchema } from '../../protocol/build-settings.ts';
import { ROOT } from '../../installer/stack/stack.ts';

export const SCHEMA_FILE = 'docs/orkestr.schema.json';

export const schemaDocument = (): string => `${JSON.stringify(orkestrJsonSchema(), null, 2)}\n`;

if (process.argv[1] === import.meta.filename) writeFileSync(join(ROOT, SCHEMA_FILE), schemaDocument());
