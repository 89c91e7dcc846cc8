import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figureLine, fileFigures, idleFigures, isMissed } from './aims.ts';

const sha256 = '0'.repeat(64);
const MIB = 2 ** 20;

test('an archive of more than 40 MB is reported; other files may have any size', () => {
  const files = [
    { name: 'orkestr-1.0.0-linux-x64.tar.xz', bytes: 40_000_000, sha256 },
    { name: 'orkestr-1.0.0-linux-arm64.tar.xz', bytes: 40_100_000, sha256 },
    { name: 'install.sh', bytes: 50_000_000, sha256 },
  ];
  assert.deepEqual(fileFigures(files).map(figureLine), [
    '  40.0 MB  orkestr-1.0.0-linux-x64.tar.xz',
    '  40.1 MB  orkestr-1.0.0-linux-arm64.tar.xz (more than the 40 MB aimed at)',
    '  50.0 MB  install.sh',
  ]);
});

test('agent and proxy that need together more than 120 MiB or 0.2 % of a core when idle are reported', () => {
  const figures = (agentMiB: number, cpuPercent: number): ReturnType<typeof idleFigures> =>
    idleFigures({ agentBytes: agentMiB * MIB, proxyBytes: 50 * MIB, hubBytes: 200 * MIB, cpuPercent });
  assert.deepEqual(figures(70, 0.2).map(figureLine), [
    ' 120.0 MiB agent and proxy, idle',
    ' 200.0 MiB hub, idle',
    '  0.20 %   of a core for agent and proxy, idle',
  ]);
  assert.deepEqual(
    figures(70.5, 0.25)
      .filter((figure) => isMissed(figure))
      .map(figureLine),
    [
      ' 120.5 MiB agent and proxy, idle (more than the 120 MiB aimed at)',
      '  0.25 %   of a core for agent and proxy, idle (more than the 0.2 % aimed at)',
    ],
  );
});
