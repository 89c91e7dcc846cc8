import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuildLimits } from '../../../protocol/job.ts';
import { MIB } from '../../../protocol/size.ts';
import { breachIn, imageBreach, logBreach, type Taken, timeBreach, toError } from './limits.ts';

const limits = BuildLimits.parse({});
const nothing: Taken = {
  processes: 1,
  refusedForks: 0,
  oomKills: 0,
  hostOomKills: 0,
  engineOomKills: 0,
  engineBytes: 200 * MIB,
  peakBytes: 300 * MIB,
  crowdedMs: 0,
  diskBytes: 0,
  diskLimitBytes: 8192 * MIB,
  inodes: 0,
  inodeLimit: 2_000_000,
  hostFreeBytes: 9000 * MIB,
  logBytes: 0,
  behindMs: 0,
};
const sentence = (taken: Partial<Taken>): string => {
  const breach = breachIn({ ...nothing, ...taken }, limits);
  return breach === null ? 'none' : `${breach.code} ${toError(breach, 'RUN npm run build').message}`;
};

test('a build within its limits is in breach of none', () => {
  assert.equal(sentence({}), 'none');
  assert.equal(sentence({ diskBytes: 8000 * MIB, inodes: 1_900_000, peakBytes: 1024 * MIB }), 'none');
});

test('lack of memory is reported with the limit, the peak, the command and a sensible next size', () => {
  assert.equal(
    sentence({ oomKills: 1, peakBytes: 1024 * MIB }),
    'ORK_BUILD_MEMORY The build ran out of memory: limit 1 GiB, peak 1 GiB, in `RUN npm run build`; builds of this size usually need 2 GiB.',
  );
  assert.match(sentence({ engineOomKills: 1 }), /^ORK_BUILD_MEMORY .*its engine/);
});

test('lack of memory on the host is reported as such, since a higher limit would not help', () => {
  assert.equal(
    sentence({ oomKills: 1, hostOomKills: 1, peakBytes: 512 * MIB }),
    'ORK_BUILD_MEMORY The host had no memory left for the build: limit 1 GiB, peak 512 MiB, in `RUN npm run build`; add memory or swap to the host, or let another host build (buildHost).',
  );
  assert.match(sentence({ oomKills: 2, hostOomKills: 1 }), /The build ran out of memory/);
});

test('disk and inodes are reported with the amount used and the limit', () => {
  assert.match(
    sentence({ diskBytes: 8192 * MIB }),
    /^ORK_BUILD_DISK .*: 8 GiB, limit 8 GiB, in `RUN npm run build`\.$/,
  );
  assert.match(sentence({ inodes: 1_990_000 }), /^ORK_BUILD_INODES .*: 1990000, limit 2000000/);
});

test('a nearly full host is reported as the cause instead of the build', () => {
  assert.match(sentence({ hostFreeBytes: 200 * MIB }), /^ORK_DISK_FULL The host has 200 MiB of disk left/);
});

test('reaching the limit of processes is no breach, but staying at it is one', () => {
  assert.equal(sentence({ processes: 2048, refusedForks: 7, crowdedMs: 1000 }), 'none');
  assert.match(sentence({ processes: 2048, refusedForks: 90, crowdedMs: 5000 }), /^ORK_BUILD_PROCESSES .*: limit 2048/);
});

test('growing memory of the engine breaches the log limit only while output is late', () => {
  assert.match(sentence({ engineOomKills: 1, logBytes: 40_000, behindMs: 2500 }), /^ORK_BUILD_LOG .*could hold/);
  assert.match(sentence({ engineBytes: 400 * MIB, behindMs: 2500 }), /^ORK_BUILD_LOG .*could hold/);
  assert.equal(sentence({ engineBytes: 400 * MIB, logBytes: 20 * MIB }), 'none');
  assert.equal(
    sentence({ engineBytes: 300 * MIB, behindMs: 60_000 }),
    'none',
    'a long burst that fits is read in the end',
  );
});

test('log, image and time limits each have their own message', () => {
  assert.equal(logBreach(64 * MIB, limits), null);
  assert.match(logBreach(64 * MIB + 1, limits)?.what ?? '', /limit 64 MiB of output/);
  assert.match(sentence({ engineOomKills: 1, logBytes: 20 * MIB }), /^ORK_BUILD_LOG .*could hold/);
  assert.equal(imageBreach(8192 * MIB, limits), null);
  assert.match(imageBreach(9000 * MIB, limits)?.what ?? '', /8\.8 GiB, limit 8 GiB/);
  assert.equal(toError(timeBreach(limits), null).message, 'The build did not finish within its limit of 900 s.');
});
