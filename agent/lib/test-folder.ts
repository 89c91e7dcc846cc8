/** For tests: folders of their own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that goes with the test, also when it fails. */
export function temporaryFolder(test: { after(end: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-agent-test-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
