/** For tests: temporary folders. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that is removed after the test, even if it fails. */
export function temporaryFolder(test: { after(end: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-agent-test-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
