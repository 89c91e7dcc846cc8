/**
 * A program for tests: runs one build of a test's builder in a process that can be killed like an agent. Its argument
 * is JSON with folder and scope of the builder, and environment and lines of the build; it prints the log.
 */
import { z } from 'zod';
import { TestBuilder } from './builder.ts';

const { folder, scope, environmentId, lines } = z
  .object({ folder: z.string(), scope: z.string(), environmentId: z.string(), lines: z.array(z.string()) })
  .parse(JSON.parse(process.argv[2] ?? ''));

let shown = 0;
await TestBuilder.of({ folder, scope }).build(lines, {
  environmentId,
  revision: { commit: '0'.repeat(40), committedAt: new Date('2026-01-02T03:04:05Z') },
  onLog(text) {
    process.stdout.write(text.slice(shown));
    shown = text.length;
  },
});
