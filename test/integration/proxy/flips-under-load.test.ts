/** A small run of `npm run bench:cutover`, with separate processes for the proxy, the apps and the client. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { benchCutover, FULL } from '../../bench/cutover/bench.ts';

test('flips with overlapping drains fail no request, and streams are closed in turn with a Close frame', async (t) => {
  const said: string[] = [];
  const { report, misrouted, tally, stopped, faults } = await benchCutover({
    ...FULL,
    flips: 8,
    rps: 300,
    webSockets: 50,
    eventStreams: 15,
    quietSeconds: 0.3,
    flipEveryMs: 150,
    drain: { deadlineSeconds: 2, streamDeadlineSeconds: 2, spreadSeconds: 0.3 },
    // Other tests run at the same time.
    priority: false,
    signal: t.signal,
    say: (text) => said.push(text),
  });
  const { flips, failed, truncated, newSocketsCut, noCloseFrame } = report;
  assert.deepEqual(
    { flips, failed, truncated, newSocketsCut, noCloseFrame, misrouted },
    { flips: 8, failed: 0, truncated: 0, newSocketsCut: 0, noCloseFrame: 0, misrouted: 0 },
    [...faults, ...said].join('\n'),
  );
  assert.ok(report.requests > 300, `${report.requests} requests`);
  assert.ok(tally.versions >= 8, `${tally.versions} versions answered`);
  assert.ok(tally.closed >= 50, `${tally.closed} long connections were closed by drains`);
  const streams = stopped.reduce((sum, { drained }) => sum + drained.streams.closed, 0);
  assert.equal(streams, tally.closed);
  assert.equal(stopped.filter(({ drained }) => !drained.known || drained.forced > 0).length, 0, faults.join('\n'));
});
