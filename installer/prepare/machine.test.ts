import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkMachine, readMachine } from './machine.mjs';

const good = { platform: 'linux', arch: 'x64', uid: 0, glibc: '2.36' };

test('the platform and the glibc version of this machine are read', () => {
  const machine = readMachine();
  assert.equal(machine.platform, process.platform);
  assert.match(String(machine.glibc), /^2\.\d+$/);
});

test('an unfit machine is refused with the reason', () => {
  const cases: [object, RegExp][] = [
    [{ platform: 'darwin' }, /Linux x64 and arm64; this is darwin x64/],
    [{ arch: 'riscv64' }, /this is linux riscv64/],
    [{ glibc: '2.33' }, /has glibc 2\.33/],
    [{ glibc: '1.99' }, /has glibc 1\.99/],
    [{ glibc: undefined }, /no glibc \(musl/],
    [{ uid: 1000 }, /needs root/],
  ];
  for (const [change, message] of cases) {
    assert.throws(() => checkMachine({ ...good, ...change }, { root: true }), {
      name: 'PrepareError',
      code: 'ORK_MACHINE_UNFIT',
      message,
    });
  }
});

test('a suitable machine is accepted, and checks that need no root do not require it', () => {
  assert.match(checkMachine(good, { root: true }), /glibc 2\.36, root/);
  assert.match(checkMachine({ ...good, glibc: '3.0', arch: 'arm64' }, { root: true }), /arm64/);
  assert.ok(checkMachine({ ...good, uid: 1000 }, { root: false }));
});
