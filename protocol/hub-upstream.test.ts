import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { HUB_UPSTREAM } from './hub-upstream.ts';
import { Uuid } from './ids.ts';

test("the installer uses the same id for the hub's route as all other programs", () => {
  const installer = readFileSync(new URL('../installer/install/hub.sh', import.meta.url), 'utf8');
  assert.equal(/^HUB_UPSTREAM=(.*)$/m.exec(installer)?.[1], HUB_UPSTREAM);
  assert.equal(Uuid.parse(HUB_UPSTREAM), HUB_UPSTREAM);
});
