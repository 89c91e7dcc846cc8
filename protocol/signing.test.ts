import assert from 'node:assert/strict';
import { test } from 'node:test';
import { helloProof, welcomeProof } from './agent-link.ts';
import { EdgeOrder } from './edge-order.ts';
import { OrkestrError } from './errors.ts';
import type { RemoveJob } from './job.ts';
import {
  isSignedBy,
  makeKeyPair,
  openEdgeOrder,
  openJob,
  readPublicKey,
  signEdgeOrder,
  signJob,
  signText,
} from './signing.ts';

const id = '01a206dd-a6e7-7a23-b18c-1c5c57a5a3bc';
const job: RemoveJob = {
  version: 1,
  kind: 'remove',
  deploymentId: id,
  generation: 3,
  hostId: id,
  issuedAt: '2030-01-01T00:00:00.000Z',
  project: { id, slug: 'shop' },
  environment: { id, slug: 'production' },
};
const hub = makeKeyPair();

const refuses = (act: () => unknown, code: string): void =>
  assert.throws(act, (error) => error instanceof OrkestrError && error.code === code);

test('a job opens as it was signed', () => {
  assert.deepEqual(openJob(signJob(job, hub.privateKey), hub.publicKey), job);
});

test('a job with one changed character or a signature by another key is refused', () => {
  const signed = signJob(job, hub.privateKey);
  refuses(
    () => openJob({ ...signed, payload: signed.payload.replace('"generation":3', '"generation":4') }, hub.publicKey),
    'ORK_SIGNATURE',
  );
  refuses(() => openJob(signJob(job, makeKeyPair().privateKey), hub.publicKey), 'ORK_SIGNATURE');
  refuses(() => openJob({ ...signed, signature: '' }, hub.publicKey), 'ORK_SIGNATURE');
});

test('a signed payload that is no job is refused with its own code', () => {
  const payload = JSON.stringify({ ...job, kind: 'format-disk' });
  const signature = signText(`orkestr-job-v1\n${payload}`, hub.privateKey);
  refuses(() => openJob({ payload, signature }, hub.publicKey), 'ORK_JOB_REFUSED');
  const noJson = { payload: '{', signature: signText('orkestr-job-v1\n{', hub.privateKey) };
  refuses(() => openJob(noJson, hub.publicKey), 'ORK_JOB_REFUSED');
});

test('a signature for one purpose is not valid for another', () => {
  const hello = signText(helloProof('n'.repeat(32), id, 'm'.repeat(32)), hub.privateKey);
  assert.ok(isSignedBy(helloProof('n'.repeat(32), id, 'm'.repeat(32)), hello, hub.publicKey));
  assert.ok(!isSignedBy(welcomeProof('n'.repeat(32), id), hello, hub.publicKey));
});

test('only the PEM of an ed25519 public key is read as one', () => {
  assert.ok(readPublicKey(hub.publicKey));
  assert.equal(readPublicKey(hub.privateKey), undefined);
  assert.equal(readPublicKey('-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----'), undefined);
});

test('edge settings are signed by the hub too, and neither they nor a job is accepted as the other', () => {
  const order = EdgeOrder.parse({
    version: 1,
    kind: 'edge',
    hostId: id,
    issuedAt: '2030-01-01T00:00:00.000Z',
    environmentId: id,
    revision: 1,
    routes: [],
    edge: {},
  });
  const signed = signEdgeOrder(order, hub.privateKey);
  assert.deepEqual(openEdgeOrder(signed, hub.publicKey), order);
  refuses(() => openEdgeOrder(signEdgeOrder(order, makeKeyPair().privateKey), hub.publicKey), 'ORK_SIGNATURE');
  refuses(() => openJob(signed, hub.publicKey), 'ORK_SIGNATURE');
  refuses(() => openEdgeOrder(signJob(job, hub.privateKey), hub.publicKey), 'ORK_SIGNATURE');
});
