import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../lib/test-folder.ts';
import { removeDropIns } from './drop-ins.ts';

test('drop-ins of the installation are removed with their folders; those of the owner and of other units stay', (t) => {
  const units = temporaryFolder(t);
  const dropIn = (folder: string, name: string): void => {
    mkdirSync(join(units, folder), { recursive: true });
    writeFileSync(join(units, folder, name), '');
  };
  dropIn('orkestr-proxy.socket.d', 'zz-listen.conf');
  dropIn('orkestr-proxy-tls.socket.d', 'zz-listen.conf');
  dropIn('orkestr-proxy-tls.socket.d', 'override.conf');
  dropIn('orkestr-hub.service.d', 'override.conf');
  dropIn('nginx.service.d', 'zz-listen.conf');
  const mine = ['orkestr-hub.service.d', 'orkestr-proxy-tls.socket.d'];
  assert.deepEqual(
    removeDropIns(units).toSorted(),
    mine.map((name) => join(units, name)),
  );
  assert.deepEqual(readdirSync(units).toSorted(), ['nginx.service.d', ...mine]);
  assert.deepEqual(readdirSync(join(units, 'orkestr-proxy-tls.socket.d')), ['override.conf']);
  assert.deepEqual(readdirSync(join(units, 'nginx.service.d')), ['zz-listen.conf']);
});
