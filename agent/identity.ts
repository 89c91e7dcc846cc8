/** Who this host is: its id, its ed25519 key, and the hub it belongs to with that hub's pinned key. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { EnrolAnswer } from '../protocol/agent-link.ts';
import type { EnrolRequest } from '../protocol/agent-link.ts';
import { OrkestrError, Problem } from '../protocol/errors.ts';
import { Timestamp, Uuid } from '../protocol/ids.ts';
import { reasonOf } from '../protocol/service/dialling.ts';
import { isSignedBy, makeKeyPair, readPublicKey, signText } from '../protocol/signing.ts';
import type { KeyPairPem } from '../protocol/signing.ts';
import { makePrivateFolder, writeFileAtomic } from './lib/files.ts';

const IDENTITY_FILE = 'identity.json';
export const KEY_FILE = 'host-key.pem';
/** A key that the hub has not been told, or whose answer was lost. */
const JOINING_KEY_FILE = `${KEY_FILE}.joining`;
const ENROL_PATH = '/api/v1/enrol';
const ENROL_TIMEOUT_MS = 30_000;

export const Identity = z.object({
  hostId: Uuid,
  name: z.string(),
  /** Null for a host that only runs job files: no hub. */
  hub: z.object({ url: z.url(), publicKey: z.string() }).nullable(),
  since: Timestamp,
});
export type Identity = z.infer<typeof Identity>;

/** Signs as this host. The key stays inside. */
type HostSigner = (text: string) => string;

/** First 8 hex digits of SHA-256 of the host id: what marks everything that this agent makes on the machine. */
export const scopeOf = (hostId: string): string => createHash('sha256').update(hostId).digest('hex').slice(0, 8);

/** @returns null when this state folder has no identity yet. @throws OrkestrError ORK_IDENTITY_UNREADABLE */
export function readIdentity(stateFolder: string): Identity | null {
  const path = join(stateFolder, IDENTITY_FILE);
  const text = readIfThere(path);
  if (text === null) return null;
  try {
    return Identity.parse(JSON.parse(text));
  } catch (cause) {
    throw new OrkestrError('ORK_IDENTITY_UNREADABLE', `${path} is not a readable identity.`, { cause });
  }
}

interface Found {
  /** Null: there is none, or it is damaged. */
  readonly known: Identity | null;
  /** Path of one that is not readable. */
  readonly damaged: string | null;
}

/** For what goes on without an identity: one that is damaged is told and not thrown. */
export function lookUpIdentity(stateFolder: string): Found {
  try {
    return { known: readIdentity(stateFolder), damaged: null };
  } catch (error) {
    if (!(error instanceof OrkestrError) || error.code !== 'ORK_IDENTITY_UNREADABLE') throw error;
    return { known: null, damaged: join(stateFolder, IDENTITY_FILE) };
  }
}

/** @throws OrkestrError ORK_CONFIG when there is none yet, ORK_IDENTITY_UNREADABLE */
export function requireIdentity(stateFolder: string): Identity {
  const identity = readIdentity(stateFolder);
  if (identity) return identity;
  const there = existsSync(stateFolder) ? 'has no identity' : 'does not exist';
  throw new OrkestrError(
    'ORK_CONFIG',
    `ORKESTR_AGENT_STATE: ${stateFolder} ${there}. Join a hub first: orkestr-agent join --hub URL --token TOKEN.`,
  );
}

/** The identity of a host without a hub, made when there is none. */
export function localIdentity(stateFolder: string, now: number): Identity {
  const known = readIdentity(stateFolder);
  if (known) return known;
  makePrivateFolder(stateFolder);
  const made: Identity = { hostId: randomUUID(), name: 'local', hub: null, since: new Date(now).toISOString() };
  storeIdentity(stateFolder, made);
  return made;
}

/** The host's signing function. @throws OrkestrError ORK_CONFIG when there is no key, or what is left of one */
export function hostSigner(stateFolder: string): HostSigner {
  const pair = readKey(stateFolder, KEY_FILE);
  if (!pair) {
    throw new OrkestrError('ORK_CONFIG', `${join(stateFolder, KEY_FILE)} holds no whole key pair. Join the hub again.`);
  }
  return (text) => signText(text, pair.privateKey);
}

interface Enrolment {
  readonly hubUrl: string;
  readonly joinToken: string;
  readonly name: string;
  readonly now: number;
}

interface Joined {
  readonly identity: Identity;
  /** False: it was there already. */
  readonly joined: boolean;
  /** Where a damaged identity that was in the way is kept. */
  readonly keptAside: string | null;
}

/**
 * Exchange a join token for an identity, also in the place of one that is damaged, or whose key is. The key pair is stored before
 * the token is used: when the answer is lost, the same call sends the same key and gets the same answer. It is this host's key once
 * the hub has taken it: until then a host whose key was damaged has not joined.
 * @throws OrkestrError ORK_JOIN_TOKEN, ORK_HUB_UNREACHABLE, ORK_CONFLICT
 */
export async function joinHub(stateFolder: string, enrolment: Enrolment): Promise<Joined> {
  const { known, damaged } = lookUpIdentity(stateFolder);
  const key = readKey(stateFolder, KEY_FILE);
  const there = known && alreadyThere(known, enrolment.hubUrl);
  if (there && key) return { identity: there, joined: false, keptAside: null };
  makePrivateFolder(stateFolder);
  const { publicKey } = key ?? readKey(stateFolder, JOINING_KEY_FILE) ?? makeKey(stateFolder);
  const answer = await enrol(enrolment, publicKey);
  if (!readPublicKey(answer.hubPublicKey)) {
    throw new OrkestrError('ORK_PROTOCOL', 'The hub gave a key that is not an ed25519 public key.');
  }
  const identity: Identity = {
    hostId: answer.hostId,
    name: enrolment.name,
    hub: { url: enrolment.hubUrl, publicKey: answer.hubPublicKey },
    since: new Date(enrolment.now).toISOString(),
  };
  if (!key) renameSync(join(stateFolder, JOINING_KEY_FILE), join(stateFolder, KEY_FILE));
  const keptAside = damaged === null ? null : keepAside(damaged);
  storeIdentity(stateFolder, identity);
  return { identity, joined: true, keptAside };
}

/** Only once there is another one. What is left of it may tell somebody which host this was. */
function keepAside(path: string): string {
  renameSync(path, `${path}.damaged`);
  return `${path}.damaged`;
}

function alreadyThere(known: Identity, hubUrl: string): Identity {
  if (known.hub?.url === hubUrl) return known;
  const whose = known.hub === null ? 'is of a host without a hub' : `belongs to the hub ${known.hub.url}`;
  throw new OrkestrError(
    'ORK_CONFLICT',
    `This state folder ${whose}. Where that is the same hub: \`orkestr-agent hub ${hubUrl}\`. Else take the host off it first, with its apps: \`orkestr-agent leave\`.`,
  );
}

async function enrol({ hubUrl, joinToken, name }: Enrolment, publicKey: string): Promise<EnrolAnswer> {
  const body: EnrolRequest = { joinToken, name, publicKey };
  let status: number;
  let answer: unknown;
  try {
    const { request } = await import('undici');
    const response = await request(new URL(ENROL_PATH, hubUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ENROL_TIMEOUT_MS),
    });
    status = response.statusCode;
    answer = await response.body.json();
  } catch (cause) {
    const evidence = [reasonOf(cause)];
    throw new OrkestrError('ORK_HUB_UNREACHABLE', `The hub at ${hubUrl} gave no usable answer.`, { evidence, cause });
  }
  const enrolled = EnrolAnswer.safeParse(answer);
  if (status < 300 && enrolled.success) return enrolled.data;
  const problem = Problem.safeParse(answer);
  if (problem.success) throw new OrkestrError(problem.data.code, problem.data.detail);
  throw new OrkestrError('ORK_PROTOCOL', `What answers at ${hubUrl} (status ${status}) is not an orkestr hub.`);
}

function makeKey(stateFolder: string): KeyPairPem {
  const pair = makeKeyPair();
  writeFileAtomic(join(stateFolder, JOINING_KEY_FILE), `${pair.privateKey}${pair.publicKey}`, 0o600);
  return pair;
}

/** Null: there is none, or not a whole one. */
function readKey(stateFolder: string, file: string): KeyPairPem | null {
  const text = readIfThere(join(stateFolder, file));
  return text === null ? null : keyPairOf(text);
}

const PROBE = 'one pair?';

/**
 * Both halves stand in one file, so that they can never be of two pairs: what the one signs, the other must accept.
 * @returns null when they are not there, whole
 */
export function keyPairOf(text: string): KeyPairPem | null {
  const border = text.indexOf('-----BEGIN PUBLIC KEY-----');
  const pair = { privateKey: text.slice(0, border), publicKey: text.slice(border) };
  try {
    return isSignedBy(PROBE, signText(PROBE, pair.privateKey), pair.publicKey) ? pair : null;
  } catch {
    return null; // not even a private key
  }
}

export const storeIdentity = (stateFolder: string, identity: Identity): void =>
  writeFileAtomic(join(stateFolder, IDENTITY_FILE), `${JSON.stringify(identity, null, 2)}\n`, 0o600);

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
